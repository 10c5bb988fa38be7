"""The words that say whether a mail is tried again, as tables. Pure data, as wording.py is."""

from gatewayd.core.phrases import Phrases

# Remote answers quoted in a final failure say "try again later": only what the writer itself is going to do counts.
DELAY = Phrases(
    (
        r"\b(?:will|we'?ll|shall|i'?ll) (?:now |still |automatically |periodically )*"
        r"(?:be |keep (?:on )?|continue (?:to |being )?)*(?:try(?:ing)?(?: (?:again|"
        r"to (?:re-?)?(?:deliver|send))|(?! to))\b|"
        r"retr(?:y|ied|ying|ies)\b|tried again|"
        r"(?:re-?)?attempt(?:ed|ing)? (?:again|(?:(?:to|the|further) )*(?:re-?)?(?:deliver|send|transmi)))",
        r"\bnot yet (?:been )?delivered|\bcould not (?:send|deliver) (?:\w+ ){0,2}(?:mail|"
        r"message) for (?:the )?(?:past|last)",
        r"\battempts (?:to deliver[^.]{0,60} )?will (?:continue|be made)",
        r"\b(?:is|are|i am|i'm|we're) still (?:trying|being (?:tried|attempted)|in the queue|attempting|queued)",
        r"\bwill be (?:attempted|retried|made|repeated) (?:again|later|periodically|for|until)",
        r"\b(?:has|have) not (?:yet|been) (?:been )?delivered (?:yet|to one or more of its recipients after)",
        r"\b(?:not yet|still not|not) (?:been )?delivered (?:yet|after)",
        r"\bmessage (?:is |has been |was )?(?:still )?(?:undelivered|queued) (?:after|for)",
        r"\b(?:has been|was|is being|is) (?:temporarily )?delayed\b",
        r"\bdelivery (?:is |has been |of [^.]{0,60} )?(?:temporarily )?delayed",
        r"\bdelay(?:ed)? (?:mail|message|delivery|notification)|\(delay(?:ed)?\)",
        r"\bthis is (?:just |only )?a warning(?: message)?\b|\bwarning message only\b",
        r"\byou do not need to (?:resend|re-send|do anything|take)",
        r"\bno (?:need to resend|action (?:is )?(?:required|needed) (?:on your part|by you|at this time))",
        r"\btransient non-fatal errors\b|\bwarning: could not send message for",
        r"\bnext (?:delivery )?(?:attempt|retry|try)(?: is| will be)? (?:in|at|on|after|scheduled)\b",
        r"\bdelivery (?:will be|is) (?:deferred|postponed)|\bstill in (?:our|the) queue|\bwill be redelivered",
        r"\bwird (?:weiter(?:hin)?|erneut|noch|später) (?:erneut )?versucht|\bnoch nicht zugestellt",
        r"\bverzöger|\bweitere (?:zustell)?versuch|\bzustellung wird (?:fortgesetzt|wiederholt)",
        r"\bretard[ée]e?\b|\bpas encore (?:été|pu)|\bnouvelles? tentatives?|\bdélai de remise|\bréessa[iy]er",
        r"\bretras(?:ó|ad[oa]|o en)|\baún no (?:se ha|ha sido)|\bseguirá intent",
        r"\b(?:(?<!no )(?:se )?volverá a |re)intentar",
        r"\bin ritardo|\britardat[ao]|\bulteriori tentativi|\bnon è (?:stato )?ancora|\briprover[àa]|\britenter[àa]",
        r"\batrasad[ao]|\btentar(?:á|emos) novamente|\bainda não foi|\bnovas tentativas",
        r"\bvertraagd|\bvertraging|\bnog niet (?:af)?geleverd|"
        r"\b(?:wordt|zal) (?:(?!niet)\w+ ){0,2}opnieuw geprobeerd",
        r"\bförsenad|\bfördröj|\bforsinket|\bviivästy|\bopóźni|\bzpožd|\bkésleltet|\bgecik|\bhenüz teslim",
        r"\b(?:kolejna|ponowna|następna) próba|\bponowi|\bповторн\w{1,4} попыт|\bповторить спробу",
        r"\bзадерж(?:ан|ива)|\b(?:ещ[её]|пока|ще) не (?:был[ао]? )?доставлен|\b(?:повтор|продолж)ит (?:\S+ )?попытк",
        r"\bпопытк\w{1,4} (?:\S+ )?буд[еу]т (?:повтор|продолж)",
        r"遅延|再(?:送信?|試行)を?(?:し(?:ます|続け)|いたします|されます|行い|試み(?!まし)|繰り返|続け)|"
        r"配信(?:が|は)遅れ",
        r"まだ(?:配信|送信|届)|引き続き(?:配信|送信|再)|지연|다시 시도(?:합|할)",
        r"延迟|尚未(?:送达|投递|送達)|将(?:继续|会继续)?(?:重试|尝试)|延遲|稍后[^。]{0,8}重试",
        r"\bκαθυστερ|\bδεν (?:έχει )?παραδοθ\w{1,6} ακόμ",
        r"\bθα (?:ξανα|επανα|συνεχ)|\bnu a fost încă livrat|\bîncă nu a fost",
        r"\bîntârzia|\bva reîncerca|עיכוב|מתעכב|עדיין לא נמסר|(?:נ|י)נסה שוב",
        r"تأخ[ريی]|(?:سنحاول|ستتم إعادة|سيتم إعادة|سنعيد) (?:ال)?(?:محاولة|مرة)",
        r"تسليم[^.]{0,60} بعد\b|تأخیر|دوباره (?:تلاش|سعی)",
        r"ล่าช้า|จะ(?:ลอง|พยายาม)ส่ง(?:ใหม่|อีก|ต่อ)|ยังไม่ได้(?:ส่ง|นำส่ง)",
        r"\bbị (?:trì hoãn|chậm)|\bsẽ thử (?:gửi )?lại",
        r"\bchưa (?:được )?(?:gửi|chuyển|giao)|\btertunda\b",
        r"\bakan (?:mencoba|dicoba) (?:lagi|kembali)|\bbelum (?:ter|di)kirim",
        r"\bodgođen|\bjoš nije (?:isporučen|dostavljen)|\bponovno pokuša",
        r"\bvėluo|\bdar nepristatyt|\baizkavē|\bvēl nav piegādāt",
        r"\bhilin|\bproovitakse uuesti|\byritetään uudelleen",
        r"\b(?:dosud|zatiaľ|zatím) ne(?:byl|bol)|\boneskor|देरी|विलंब|फिर से (?:प्रयास|कोशिश)",
        r"\bkésik\b|\b(?:kézbesítési )?kísérletek folytatódnak",
        # Somebody has to decide first.
        r"\b(?:is|are) (?:awaiting|waiting for|pending) (?:\w+ ){0,2}(?:moderat|approv)",
        r"\brequires? (?:\w+ ){0,2}(?:moderation|approval) before\b",
        r"\b(?:held|placed on hold|put on hold) (?:for|pending|until) (?:\w+ ){0,2}(?:review|moderat|approv|inspect)",
        r"\bit will (?:then|afterwards) be delivered\b|\bto release (?:your|this|the) message\b",
        # Beside that it could not be delivered: what is going to be done about it.
        r"\b(?:bisher|bislang) nicht zugestellt|\b(?:server|system|wir) versuch\w{1,3} es (?:weiter|erneut|später)",
        r"\b(?<!ne )continuera (?:d'|à |de )(?:essayer|tenter)|\bde nouveaux essais",
        r"\b(?<!no )se (?:re)?intentará (?:de nuevo|otra vez|nuevamente)|\btodavía no (?:se )?ha",
        r"\b(?<!non )continuerà a (?:prova|tenta)|\bverranno effettuati altri tentativi",
        r"\b(?<!não )continuará (?:a )?tenta|\bvoltaremos a tentar|\bainda não pôde",
        r"\bblijft (?:het )?proberen|\bproberen het (?:later )?opnieuw|"
        r"\bnog niet (?:worden |kunnen worden )?(?:afgeleverd|bezorgd)",
        r"\bförsenat|\bännu inte (?:\w+ ){0,2}lever|"
        r"\b(?:vi|servern) (?:försöker|fortsätter (?:att )?försöka)(?: igen)?\b(?! inte)",
        r"\bendnu ikke (?:\w+ ){0,2}lever|\bikke (?:\w+ ){0,2}levert ennå|\bennå ikke (?:\w+ ){0,2}lever|"
        r"\b(?:prøver|forsøger|forsøker) (?:det )?(?:igen|igjen|på nytt)",
        r"\bei ole vielä (?:voitu )?toimit",
        r"\b(?<!nie )(?:będzie|będziemy) (?:próbowa|ponawia)|\b(?<!nie )spróbuje(?:my)? ponownie",
        r"\bneby\w{1,2} (?:dosud|zatím) doruč|\b(?:zatím|dosud|zatiaľ) nepoda[rř]|"
        r"\bse bude (?:dále|znovu) (?:pokoušet|zkoušet)|"
        r"\bpokus bude opakován|\bto skúsi(?:me)? znova",
        r"\bmég nem (?:\w+ )?kézbesít|\btovább próbálkozik|\bújra (?:meg)?próbál(?:ja|juk)\b",
        r"\b(?<!nu )(?<!nu se )(?:se )?va (?:re)?încerca (?:din nou|mai târziu)",
        r"\b(?<!δεν )θα προσπαθήσ\w{1,6} (?:ξανά|πάλι|εκ)",
        r"\b(?:yeniden|tekrar) (?:denenecek|deneyecek)",
        r"\bjoš (?:uvek |uvijek )?nije (?:bil[ao] )?(?:isporuč|dostav|uruč)|\bće(?:mo)? pokušati pono?v|"
        r"\bpokušaćemo pono?v",
        r"\b(?<!ne )(?:bo|bomo) (?:poskušal|poskusil)\w? (?:znova|ponovno)|"
        r"\bposkusili bomo (?:znova|ponovno)|\bše ni bil\w? (?:mogoče )?dostav",
        r"\bbandys (?:dar kartą|iš naujo|vėl)|\bmēģinās vēlreiz",
        r"\bјош (?:увек )?није (?:испоруч|достав|уруч)|\bпокушаћемо поново|\bће покушати поново",
        r"\b(?:все още|сѐ уште|се уште) не|\bще (?:бъдат направени нови|продължи да (?:се )?опит|се опита? отново)|"
        r"\bќе (?:се обид|продолж)",
        r"\bдо сих пор не доставлен|\b(?<!не )попробует (?:ещё раз|снова|позже)|\bдоставка будет повторена",
        r"\b(?<!не )спробує(?:мо)? (?:ще раз|знову|пізніше)",
        r"將(?:會)?繼續嘗試|稍後(?:將|會)?重試|아직 (?:배달|전달|전송)되지|계속 (?:재)?시도(?:합|할)",
        # That it waits still.
        r"\btoujours en (?:cours|attente)|\bsigue (?:pendiente|en (?:la )?cola)|\bcontinuaremos intent|"
        r"\bancora in (?:coda|attesa)",
        r"\bcontinueremo a\b|\bcontinua (?:na fila|pendente)|\bcontinuaremos tent|"
        r"\bещ[её] (?:находится |стоит )?в очереди",
        r"\bnoch unterwegs\b|\bnog in de wachtrij|\b(?:wciąż|nadal) (?:czeka |jest )?w kolejce|\bhâlâ kuyrukta|"
        r"仍在[队佇]列",
        # When it is tried next.
        r"\bnächste[rn]? (?:zustell)?versuch|\bprochaine tentative|\bpróximo intento|\bprossimo tentativo",
        r"\bpróxima tentativa|\bvolgende (?:bezorg)?poging|\bследующ\w{1,3} попытк|\bнаступн\w{1,3} спроб|"
        r"\bследващ\w{0,3} опит",
        r"\bdalší pokus (?:o doručení )?(?:za|v|bude|proběhne)\b|\bďalší pokus (?:o doručenie )?(?:za|o|bude)\b",
        r"\bkövetkező kísérlet|\burmătoarea încercare|\bsonraki deneme|\bεπόμενη προσπάθεια|"
        r"\bs(?:lj|l)?edeći pokušaj",
        r"\bnästa försök|\bneste forsøk|\bnæste forsøg|\bseuraava yritys|下次(?:重试|尝试)",
        r"(?:小时|分钟|天)后[^。]{0,8}(?:重试|尝试)|(?:小時|分鐘|天)後[^。]{0,8}(?:重試|嘗試)|"
        r"\blần thử tiếp theo|\bpercobaan berikutnya",
        r"\bprób[ya] (?:\w+ )?b[ęe]d[ąa] (?:ponawiane|kontynuowane)|\bcontinuaremos a tentar|"
        r"\bbude (?:dále )?zkoušet",
        r"\bwordt (?:nog|verder) (?:\w+ ){0,3}geprobeerd|\bdenemeye devam|(?<!不)会继续(?:尝试|重试|投递)",
        # It is only a warning.
        r"\b(?:nur|lediglich) eine warnung|\bsimple avertissement|\bsolo un(?:a)? (?:aviso|advertencia|avviso)|"
        r"\bapenas um aviso|\bslechts een waarschuwing|\btylko ostrzeżenie|\bpouze (?:varování|upozornění)",
        r"\b(?:только|лишь) предупреждение|\b(?:лише|тільки) попередження|\byalnızca bir uyarı|"
        r"\bsadece (?:bir )?uyarı|"
        r"\b(?:bara|endast) en varning|\b(?:kun|bare) en advarsel|\bvain varoitus|\bcsak figyelmeztetés|"
        r"\bdoar un avertisment",
        r"警告(?:メール|メッセージ)?(?:です|に過ぎ|のみ)|只是一?[个封個]?警告|경고일 뿐",
        # Where players live whose mail systems speak none of the above.
        r"\bendarreri|\bes (?:continuarà|tornarà a) intenta|\batzeratu|\bberriro saiatuko|\btefst\b|"
        r"\breynt verður aftur",
        r"\bviibi(?:b|nud)|\bproovime uuesti|\bvonuar\b|\bvones[ëa]|\bдоцни\b|\bзабав(?:я|ен|ян)|\bще опитаме отново",
        r"\bкасни\b|\bзатриму(?:є|ють)|\bзатримано|\bспроби (?:\S{1,100} ){0,2}(?:триватим|продовж)|"
        r"\bзатрымлів|\bпаспрабуем",
        r"დაგვიან|კვლავ ვცდ|հետաձգ|կրկին կփորձ|\bкешіг|\bкешікт|\bқайта әрекет|\bkechik|\bqayta urin",
        r"বিলম্ব|আবার চেষ্টা|தாமத|மீண்டும் முயற்சி|\bditangguh|\btertangguh|\bpercubaan akan|\bnaantala|\bsusubukang muli",
        r"\bumechelewa|\btutajaribu tena",
        r"จะลอง(?:ส่ง)?(?:ใหม่|อีก)|\b(?<!tidak )akan terus mencoba",
        r"(?:سيحاول|سيواصل) (?:\S+ ){0,3}(?:مرة أخرى|المحاولة)",
    )
)

# Taken out before DELAY is looked for: the writer says that it will not, or tells its history.
NO_DELAY = Phrases(
    (
        r"\b(?:not|won'?t|n't|never|no longer) (?:be )?(?:going to )?(?:automatically )?(?:keep |continue "
        r")?(?:to )?(?:be )?(?:try|trying|retry|retried|tried|retrying|attempt)(?:ed|ing)?(?: again)?\b",
        r"\bno (?:further|more) (?:delivery )?(?:attempt|retr)\w*[^.]{0,40}",
        r"\b(?:has been|was|is) delayed[^.]{0,120}(?:given up|giving up|could not|cannot|returned|expired|exceeded)",
        r"\bif (?:the|this|you|your)[^.]{0,100}\.",
        r"\bdélai (?:.{0,80}? )?(?:dépassé|expiré)|\bdélai maximum|"
        r"\baucune (?:nouvelle|autre) tentative",
        r"\bповторных попыток (?:\S+ ){0,2}не будет|遅延のため",
        # In the words that DELAY has for it, it says that there will be none.
        r"\bno (?:additional|other) (?:delivery )?(?:attempt|retr)\w*|\b(?:re)?try no (?:more|longer)\b",
        r"\bweitere (?:zustell)?versuche (?:\w+ ){0,3}nicht\b|\bpas (?:de |d')(?:nouvelles|autres) tentatives",
        r"\bno se (?:volverá a |re)intentar\w*|\bnon (?:\w+ ){1,3}(?:altri|ulteriori|nuovi) tentativi|"
        r"\bnon (?:si )?(?:riprover|ritenter)\w+|\bnão (?:\w+ ){1,3}novas tentativas|\bnão voltaremos a tentar",
        r"\bповторн\w{1,3} попыт\w{1,3} (?:\S{1,100} ){0,3}не\b|\b(?:kolejna|ponowna|następna) próba nie\b|"
        r"\bδεν θα (?:ξανα|επανα|συνεχ)\w*",
        r"\btidak akan (?:mencoba|dicoba)(?: lagi| kembali)?|לא (?:נ|י)נסה שוב",
        # It tells its history, or its reader what to do.
        r"\b(?:malgré|après) (?:de |plusieurs )?nouvelles tentatives|"
        r"\b(?:veuillez|pouvez|devez|merci de|prière de|essayez de) réessayer|\b(?:puede|pueden|debe) reintentar\w*",
        r"\b(?:сделайте|предпримите|выполните) повторн\w{1,3} попыт\w{1,3}|"
        r"[请請]您?稍[后後](?:再次?)?(?:重?[试試]|尝试|嘗試|发送|發送)",
        # A footer says what may become of any mail.
        r"\b(?:confidential|privileged|vertraulich|confidentiel|confidencia|riservat|vertrouwelijk|konfidenti|fortrolig|"
        r"poufn|důvěrn|dôvern|bizalmas|gizli|конфиденциальн|конфіденційн|luottamuksel|povjerljiv)\w*.{0,800}",
        r"\b(?:could not|cannot|can'?t|was not able to) be delivered[^.]{0,40}(?:within|after|for) (?:the "
        r")?(?:last |past )?\w+ (?:days?|weeks?)",
    )
)

EXPIRED = Phrases((r"\b(?:envelope|message|mail|delivery time|retry time|queue lifetime) (?:has |is |was )?expired\b",))
"""Said of a mail: nobody will try it again."""

GIVEN_UP = Phrases(
    (
        r"\b(?:giving|gave|given) up\b",
        r"\bno (?:further|more) (?:delivery )?(?:attempts?|retr(?:y|ies))\b",
        r"\bwill not be (?:retried|tried again|attempted again)\b",
        r"\b(?:queue|retry|delivery) (?:life)?time(?:-?out)? (?:limit )?(?:has been |was |is )?exceeded\b",
        r"\btoo long in (?:the |our )?queue\b|\bin (?:the |our )?queue (?:for )?too long\b",
    )
)
"""The same, as who writes the report says of itself."""

CONDITION = Phrases((r"\bif (?:it|the|this|you|your)[^.]{0,100}\.",))
"""What has not happened."""
