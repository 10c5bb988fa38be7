"""The subjects of returned mail in many languages, as tables: what a mail calls itself. Pure data, as wording.py is."""

from gatewayd.core.phrases import Phrases

BOUNCE_SUBJECT = Phrases(
    (
        r"\bundeliver",
        r"\bnon[- ]?deliver",
        r"\bnot (?:be )?(?:been )?delivered",
        r"\bdeliver(?:y|ing)? (?:of [^:]{0,60})?(?:has |have |is )?(?:been )?"
        r"(?:fail|error|problem|delay|status|report|notif|attempt|unsuccess|incomplete|warning|impossible)",
        r"\bfail(?:ed|ure)? (?:mail|message|delivery|notice|of delivery)",
        r"\bfail(?:ed|ure)? (?:to|while|in) (?:deliver|send)",
        r"\b(?:mail|message|e-?mail)[^:]{0,40} (?:fail|error|reject|return|undeliver|bounce|refused|delay)",
        r"\breturned (?:e-?)?(?:mail|message|to sender)",
        r"\b(?:return(?:ed|ing)|rejected|bounced?|refused|blocked) (?:e-?)?(?:mail|message)",
        r"\b(?:e-?)?mail status report|\brejected posting\b",
        r"\b(?:could|can) ?not be delivered",
        r"\bunable to deliver",
        r"\buser unknown\b|\bunknown (?:user|recipient|address)",
        r"\bfailure notice\b|\bnotice of failure\b|\bfailure report\b",
        r"\bwarning: (?:message|could not send|original)",
        r"\bmessage you sent\b",
        # GroupWise tells what becomes of a mail under one subject: that it was opened is no bounce.
        r"\bmessage status\b(?! ?-? ?(?:open|read|acce|dele|empt|downl|trans|deliv|pend|compl|decl|repl|forw))",
        r"\bndn:|\bndr:|^error\b:",
        r"\bproblem(?:e|s)? (?:delivering|with (?:your )?(?:mail|message))",
        r"\bmail could not\b|\bmail delivery\b|\bmail system error\b|\bmail non[- ]?remis",
        r"\bunzustellbar|\bnicht zugestellt|\bzustell(?:ung|fehler|bericht|status)|\bfehlgeschlagen",
        r"\bnon remis|\bnon distribu|\béchec (?:de|d')|\bretourn[ée]|\bavis de non",
        r"\bno (?:se ha podido )?entrega|\bdevuelto\b|\bno entreg|\bfallo (?:en|de) (?:la )?entrega",
        r"\bno se puede entregar",
        r"\bnon recapit|\bmancat[ao] (?:consegna|recapito)|\bnon consegna",
        r"\bnão entregue|\bfalha na entrega|\bdevolvid[ao]|\bnão (?:foi )?entreg",
        r"\bonbestelbaar|\bniet (?:af)?geleverd|\bonbezorgbaar",
        r"\bolevererbar|\bkunde inte levereras|\bikke leveres|\buleverbar|\bkan ikke leveres|\btoimitus",
        r"\bniedostarcz|\bzwrot wiadomo|\bnie można dostarczyć|\bei voi toimittaa|\bnu se poate livra",
        r"\bnedoru[čc]|\bkézbesíthetetlen|\bteslim edilemedi|\biletilemedi",
        r"недоставлен|не доставлен|не удалось|невозможно доставить|возврат",
        r"配信(?:不能|できません|失敗|エラー|状態)|届けられません|送信(?:できません|失敗|エラー)|エラーメール|"
        r"戻され|不達",
        r"退信|无法(?:投递|送达|传递)|投递失败|投递状态|未送达|無法(?:傳遞|投遞|送達)|傳送失敗|投遞失敗|系统退信",
        r"반송|전송 ?실패|배달 ?(?:되지|실패|불가)|전달되지",
        r"\bαδύνατη η (?:παράδοση|αποστολή)|\bαποτυχία (?:παράδοσης|αποστολής)|\bανεπίδοτ|\bnelivra|\blivrare eșuată",
        r"לא ניתן (?:היה )?למסירה|המסירה נכשלה|غير قابل للتسليم",
        r"فشل (?:ال)?(?:تسليم|إرسال)|ส่งไม่(?:ถึง|สำเร็จ)|\bkhông thể (?:gửi|chuyển)",
        r"\btidak terkirim|\bgagal terkirim|\bneisporuč|\bnedostavlj|\bnepristatyt|\bnav piegādāt|\btoimetamata",
        # An error of sending or delivering.
        r"\bfehler bei der (?:übermittlung|zustellung)",
        r"\berreur (?:d'envoi|de (?:remise|livraison|distribution))|\berror (?:de|al|en la) (?:envío|enviar|entrega)",
        r"\berrore (?:di|nell'?) ?(?:invio|consegna|recapito)|\berro (?:de|na|no) (?:envio|entrega)|"
        r"\b(?:verzend|bezorg)fout",
        r"\bbłąd (?:wysył|dostarcz|doręcz)|\bchyba (?:odes|doruč)|\bошибка (?:при )?(?:отправ|достав)|"
        r"\bпомилка (?:відправ|достав|надсил)|\b(?:gönderim|teslimat|teslim) hatası|\bkézbesítési hiba",
        r"\beroare de livrare|\bσφάλμα (?:παράδοσης|αποστολής)|\bleveransfel\b|\bleveringsfe(?:il|jl)|"
        r"\btoimitusvirhe",
        r"(?:发送|投递|發送|投遞)[错錯][误誤]|(?:전송|배달|발송) 오류|\blỗi gửi|\bkesalahan pengiriman|"
        r"שגיאת (?:מסירה|שליחה)|"
        r"خطأ في (?:ال)?(?:تسليم|إرسال)",
        r"\bniet te bestellen|\bkan inte levereras|\bei (?:voitu )?toimite?t|\bkézbesítetlen|"
        r"\bne(?:byl|bol)\w? doručen",
        r"\bδεν (?:παραδόθηκε|είναι δυνατή η παράδοση)|\bне (?:\S{1,100} ){0,2}даста[вў]|\bне е доставен|"
        r"\bније (?:испоруч|достав)|\bni dostavljen|\b(?:kätte)?toimetamine (?:nurjus|ebaõnnestus)",
        r"\bno lliurat|\bnon entregad|\bezin izan da (?:\w+ )?entregatu|\bekki (?:tókst að )?afhen|\bnuk u dorëzua",
        r"ვერ მიეწოდ|չի առաքվ|\bçatdırılma(?:dı|yıb)|\bжеткізілмеді|\byetkazilmadi|تحویل (?:داده )?نشد|نہیں پہنچ",
        r"वितरित नहीं|পৌঁছানো যায়নি|வழங்கப்படவில்லை|ส่ง\S{1,20}ไม่(?:ถึง|สำเร็จ)|\bkhông gửi được",
        r"\btidak (?:dapat|berjaya) dihantar|\bhindi naihatid|\bhaujawasilishwa|לא נמסר|لم يتم (?:تسليم|توصيل)|"
        r"발송(?:에|이)? ?실패|발송되지",
    )
)

SUCCESS_SUBJECT = Phrases(
    (r"\bsuccessful mail delivery report\b|\bdelivery status notification ?\((?:success|relay(?:ed)?|expand(?:ed)?)\)",)
)
"""Of a report of success, whatever else its text speaks of: Postfix goes on that errors may still be reported."""

WARNING_SUBJECT = Phrases(
    (
        r"^\W{0,3}warning: (?:message|could not send)|^mail delivery warning",
        r"^delivery status notification: (?:warning|delay)",
        r"\b(?:message|mail) (?:\S{1,100} )?(?:is |has been )?delayed\b",
    )
)
"""Of a report of delay, where its text says nothing."""

NEUTRAL_SUBJECT = Phrases((r"^delivery (?:status|report|notification)(?: (?:report|notification))?$",))
"""Of a report of anything."""

ABOUT_MAIL = Phrases((r"mail|message|undeliver|\bnd[nr]\b|failure notice|returned to sender",))
"""Parcels, too, could not be delivered."""

AUTO_REPLY_SUBJECT = Phrases(
    (
        r"^(?:re: ?|fwd?: ?|aw: ?|\[[^\]]{1,40}\] ?)*\(?\[?auto(?:mat(?:ic|ed|ically))?[-_ :.]*(?:generated[- "
        r"])?(?:re(?:ply|sponse|spons|sponder|spond)|answer|acknowledg|notification of absence|antwort|"
        r"matische)",
        r"\bout of (?:the )?(?:office|town)|\bout-of-office|\booo\b|\bof+ice closed",
        r"\baway from (?:the |my )?(?:office|mail|desk|e-?mail)",
        r"\bi am (?:currently )?(?:away|on (?:vacation|leave|holiday)|out of)",
        r"\bvacation\b|\bon (?:annual |parental |maternity |sick )?leave\b|\bon holidays?\b",
        r"\bauto-?(?:reply|responder?|response|acknowledg)|\babsence\b|\bno longer (?:with|works?|at|employed)",
        r"\babwesen|\bautomatische (?:antwort|rückantwort|empfangsbestätigung)",
        r"\bautomatisch(?:e)? (?:antwoord|beantwoord)|\bafwezig",
        r"\bréponse automatique|\babsence (?:du|de)|\brespuesta automática|\bfuera de (?:la )?oficina",
        r"\brisposta automatica|\bfuori (?:sede|ufficio)|\bresposta automática|\bausência|\bautomatiskt? svar",
        r"\bautosvar|\bfrånvaro|\bautomaattinen vastaus|\bautomatyczna odpowied|\bautomatická odpov",
        r"\botomatik (?:cevap|yanıt)|\bofis dışında|\bnieobecno|\bmimo kancelář|\bautomatikus válasz|\bházon kívül",
        r"\brăspuns automat|\bautomatski odgovor|\bbalasan otomatis|\bautomatinis atsak|\btrả lời tự động",
        r"\bαυτόματη απάντηση|автоматичен отговор|автоматична відповідь",
        r"ตอบ(?:กลับ)?อัตโนมัติ|(?:תשובה|מענה) אוטומטית?|رد تلقائي|الرد التلقائي",
        r"автоответ|автоматическ\w{1,4} ответ|自動(?:応答|返信)|不在(?:通知|"
        r"のお)|自动(?:回复|答复)|自動回覆|자동 ?(?:응답|회신)|부재중",
        r"\bthank you for (?:your (?:e-?mail|message|mail)|contacting|e-?mailing)",
        r"\bwe (?:have )?received your (?:e-?mail|message|request)|\bticket (?:received|created)|\bread:",
        r"\bread receipt|\breturn receipt \(displayed|\bgelesen:|\blu ?:|\bleído:|\bletto:",
        r"\bplease (?:confirm|verify) your (?:message|e-?mail|address)|\bconfirm(?:ation)? (?:needed|required)",
        r"\bchallenge\b",
        r"^(?:ich|wir) (?:bin|sind) (?:\w+ ){0,3}(?:im urlaub|abwesend|nicht (?:im|da|erreichbar))|^im urlaub\b",
        r"\babsent(?:e|\(e\))?s? du bureau|\bausente (?:de|da) |\bikke (?:på kontoret|til stede)|\binte på kontoret",
        r"^poissa(?: toimistosta)?\b|\bautoodpowied|\bεκτός γραφείου|\bsjálfvirkt svar",
        r"\bаутоматски одговор|\bавтоматски одговор|\bавтоматты жауап|\bsamodejni odgovor|\bautomātisk\w* atbild",
        r"\bautomaatvastus|\bavtomatik cavab|\bbalasan automatik|\bresposta automàtica|\berantzun automatikoa",
        r"\bpërgjigje automatike|\btweġiba awtomatika|\bfreagra uathoibríoch|\bateb awtomatig",
        r"پاسخ خودکار|स्वचालित (?:उत्तर|जवाब|प्रत्युत्तर)|ავტომატური პასუხი|ավտոմատ պատասխան",
    )
)
