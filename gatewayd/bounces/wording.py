"""The words of returned mail in many languages, as tables: who writes it, and what each phrase means.

Pure data and the patterns made from it. Phrases are matched in text whose white space is collapsed, whatever their
case. A phrase belongs here if a person who knows mail, but not this program, would read it that way in any mail.
"""

import re
import unicodedata
from collections.abc import Sequence
from functools import cached_property


def plain(text: str) -> str:
    """`text` as the phrases here expect it: white space collapsed, accents gone (many systems write without them)."""
    if text.isascii():
        return " ".join(text.split())
    words = " ".join(text.replace("’", "'").split())
    # Marks that stand alone go before, not only after: to sort a long row of them takes the square of its length.
    marked = unicodedata.normalize("NFD", "".join(char for char in words if not _is_mark(char)))
    return unicodedata.normalize("NFC", "".join(char for char in marked if not unicodedata.combining(char)))


def _is_mark(char: str) -> bool:
    return char > "\u02ff" and unicodedata.category(char) == "Mn"


class Phrases:
    """Any of several phrases. They are compiled when first looked for: most processes never read a bounce."""

    def __init__(self, phrases: Sequence[str]) -> None:
        self._phrases = phrases

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile("|".join(map(plain, self._phrases)), re.IGNORECASE)

    def search(self, text: str) -> re.Match[str] | None:
        """Where one of them stands in `text`."""
        return self._pattern.search(text)

    def match(self, text: str, start: int = 0) -> re.Match[str] | None:
        """Whether `text` goes on with one of them at `start`."""
        return self._pattern.match(text, start)

    def without(self, text: str) -> str:
        """`text` with a space in place of each."""
        return self._pattern.sub(" ", text)


DAEMON = Phrases(
    (
        r"mailer[-_. ]?d(?:a?e)mon",
        r"\bpost[-_. ]?master\b",
        r"\bmail[-_. ]?daemon\b",
        r"\bmdaemon\b",
        r"\bmail(?:er)? deliver[iy]",
        r"\bdelivery sub[- ]?system",
        r"\bmicrosoft ?exchange(?:[0-9a-f]{32}|329e71ec)",
        r"\bsystem-?attendant\b",
        r"\bdelivery[- ](?:notification|report|status|failure|error)",
        r"^<?(?:uucp|mmdf|mta|mailagent)(?:@|>|$)",
    )
)
"""From, address or name: a machine that carries mail and writes of nothing else."""

MAYBE_DAEMON = Phrases(
    (
        r"\bmail(?:er)?[- ]?(?:administrator|admin|system|router|agent|robot|server|gateway|service|filter)\b",
        r"\bsystem administrator\b",
        r"\bmicrosoft outlook\b",
        r"\b(?:mail|smtp)[- ]?errors?\b",
        r"\bbounces?(?:[-+_.]|@|$)",
        r"\bsmtp(?:[- ]?(?:gateway|server|daemon|agent))?@",
        r"^<?(?:daemon|mail|root|smtp)(?:@|>|$)",
        r"\bno(?:n)?[-_ ]?deliver|\bundeliver",
        r"\bantivirus\b|\bvirus ?wall\b",
    )
)
"""From, address or name: a machine or its keeper, who also write of other things."""

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
        r"\b(?:e-?)?mail status report",
        r"\b(?:could|can) ?not be delivered",
        r"\bunable to deliver",
        r"\buser unknown\b|\bunknown (?:user|recipient|address)",
        r"\bfailure notice\b|\bnotice of failure\b|\bfailure report\b",
        r"\bwarning: (?:message|could not send|original)",
        r"\bmessage you sent\b",
        # GroupWise tells what becomes of a mail under one subject: that it was opened is no bounce.
        r"\bmessage status\b(?! ?-? ?(?:open|read|acce|dele|empt|downl|trans|deliv|pend|compl|decl|repl|forw))",
        r"\bNDN:|\bNDR:|^error\b:",
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
        r"\bniedostarcz|\bnedoru[čc]|\bkézbesíthetetlen|\bteslim edilemedi|\biletilemedi",
        r"недоставлен|не доставлен|не удалось|невозможно доставить|возврат",
        r"配信(?:不能|できません|失敗|エラー|状態)|届けられません|送信(?:できません|失敗|エラー)|エラーメール|戻され|不達",
        r"退信|无法(?:投递|送达|传递)|投递失败|投递状态|未送达|無法(?:傳遞|投遞|送達)|傳送失敗|投遞失敗|系统退信",
        r"반송|전송 ?실패|배달 ?(?:되지|실패|불가)|전달되지",
    )
)

SIGNATURE = Phrases(
    (
        r"\bthis is the \S{0,40}\s?(?:qmail|mail|postfix|program at|mail delivery|mailer|email) ?\S{0,20} "
        r"?(?:program|system|server)?(?: at| for)\b",
        r"\bhi\. this is the\b",
        r"\bi'?m (?:afraid|sorry)[^.]{0,20} (?:i|to) (?:wasn'?t|was not|couldn'?t|have to)",
        r"\bthis message was created automatically by (?:the )?(?:mail|smtp)",
        r"\btranscript of session follows\b",
        r"\bthe following address(?:es|\(es\))? (?:had|failed|is|was)",
        r"\bdid not reach the following recipient",
        r"\bthe original message was received at\b",
        r"\bthis is an? (?:informative|automatic(?:ally)?[- ]generated) (?:delivery|message|non-?delivery|email|mail)",
        r"\bdelivery (?:has failed|to the following recipients?)",
        r"\breporting-mta:",
        r"\bgenerated by (?:the )?(?:exim|mail|smtp|postfix|microsoft exchange|exchange)",
        r"\bfailed recipient|\bfailure reason",
        r"\b(?:rcpt to|mail from|data) ?[:<]? ?(?:generated|<)",
    )
)
"""Text that only a mail system writes, whoever the From says it is."""

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
        r"\bnext (?:delivery )?(?:attempt|retry)(?: is| will be)? (?:in|at|on|after|scheduled)\b",
        r"\bdelivery (?:will be|is) (?:deferred|postponed)|\bstill in (?:our|the) queue|\bwill be redelivered",
        r"\bwird (?:weiter(?:hin)?|erneut|noch|später) (?:erneut )?versucht|\bnoch nicht zugestellt",
        r"\bverzöger|\bweitere (?:zustell)?versuch|\bzustellung wird (?:fortgesetzt|wiederholt)",
        r"\bretard[ée]e?\b|\bpas encore (?:été|pu)|\bnouvelles? tentatives?|\bdélai de remise|\bréessa[iy]er",
        r"\bretras(?:ó|ad[oa]|o en)|\baún no (?:se ha|ha sido)|\bseguirá intent|\b(?:se volverá a |re)intentar",
        r"\bin ritardo|\britardat[ao]|\bulteriori tentativi|\bnon è (?:stato )?ancora|\briprover[àa]|\britenter[àa]",
        r"\batrasad[ao]|\btentar(?:á|emos) novamente|\bainda não foi|\bnovas tentativas",
        r"\bvertraagd|\bvertraging|\bnog niet (?:af)?geleverd|\b(?:wordt|zal) (?:\w+ ){0,2}opnieuw geprobeerd",
        r"\bförsenad|\bfördröj|\bforsinket|\bviivästy|\bopóźni|\bzpožd|\bkésleltet|\bgecik|\bhenüz teslim",
        r"\b(?:kolejna|ponowna|następna) próba|\bponowi|\bповторн\w{1,4} попыт|\bповторить спробу",
        r"\bзадерж(?:ан|ива)|\b(?:ещ[её]|пока|ще) не (?:был[ао]? )?доставлен|\b(?:повтор|продолж)ит (?:\S+ )?попытк",
        r"\bпопытк\w{1,4} (?:\S+ )?буд[еу]т (?:повтор|продолж)",
        r"遅延|再(?:送信?|試行)を?(?:し(?:ます|続け)|いたします|されます|行い|試み(?!まし)|繰り返|続け)|配信(?:が|は)遅れ",
        r"まだ(?:配信|送信|届)|引き続き(?:配信|送信|再)|지연|다시 시도(?:합|할)",
        r"延迟|尚未(?:送达|投递|送達)|将(?:继续|会继续)?(?:重试|尝试)|延遲|稍后[^。]{0,8}重试",
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
        r"\bdélai (?:dépassé|expiré|maximum)|\baucune (?:nouvelle|autre) tentative",
        r"\bповторных попыток (?:\S+ ){0,2}не будет|遅延のため",
        r"\b(?:could not|cannot|can'?t|was not able to) be delivered[^.]{0,40}(?:within|after|for) (?:the "
        r")?(?:last |past )?\w+ (?:days?|weeks?)",
    )
)

FAILURE = Phrases(
    (
        r"\b(?:could|can|may) ?(?:not|n'?t) (?:be|been|get) (?:\w+ ){0,2}(?:deliver|sent|reach|found|resolved|"
        r"process|complete|forward|route|accept)",
        r"\b(?:could|can|did|was|were|is|are|has|have|been|will)(?:n'?t| ?not) (?:\w+ ){0,3}(?:deliver|accept|"
        r"sent\b|permitted|reach|recogni[sz]|process|listed|allowed|known|found|exist|valid|available|a known|"
        r"able to)",
        r"\bunable (?:to|de) (?:\w+ ){0,2}(?:deliver|send|rout|process|accept|relay|find|locate|reach|forward|connect)",
        r"\bfail(?:s|ed|ure)?\b(?: \w+){0,3}? (?:to (?:be )?deliver|permanently|recipient|delivery|address)",
        r"\bdeliver(?:y|ed|ing)?(?: \w+){0,6}? (?:fail|error|reject|unsuccess|impossible|problem|aborted|time-?out)",
        r"\bnot (?:be )?deliver(?:ed|able)|\bundeliver|\bnon[- ]?deliver|\bnot our customer",
        r"\b(?:message|mail) (?:was |is |has been )?(?:not accepted|refused|rejected|returned|bounced|blocked|"
        r"discarded|undeliver)",
        r"\b(?:un|not )?deliverable\b.{0,40}\breturn",
        r"\breturned (?:mail|message|to (?:the )?sender)|\breturned (?:un)?(?:opened|delivered)",
        r"\bpermanent(?:ly)?[ -](?:\(?fatal\)? )?(?:error|failure|fail|undeliver|reject)|\bfatal error",
        r"\bgiving up\b|\bgave up\b|\bgiven up\b",
        r"\b(?:unknown|invalid|no such|bad|illegal|non-?existent|inactive|unrout[e]?able|unresolvable|"
        r"disabled|expired|missing|unrecogni[sz]ed|incorrect) (?:\w+ ){0,2}(?:user|recipient|mailbox|address|"
        r"domain|host|account|person|destination|userid|name|mail)",
        r"\b(?:user|recipient|mailbox|address|domain|host|account|addressee|name|quota)(?: \S{1,60}){0,3}? "
        r"(?:is |are |has |have |was |been |not |does |doesn'?t |isn'?t |currently |temporarily )*(?:unknown|"
        r"exist|invalid|unavailable|inactive|disabled|suspended|full|found|over|exceed|reject|refused|"
        r"restrict|not listed|not found|expired|closed|terminated|on hold|unrouteable)",
        r"\b(?:over|exceed(?:s|ed|ing)?) (?:\w+ ){0,4}(?:quota|size|limit|storage|space|allotment)",
        r"\bquota (?:is |has been )?(?:exceed|full)|\bdisk full|\binsufficient (?:disk|storage|space)",
        r"\bmailbox full",
        r"\bdoes ?(?:not|n'?t) (?:\w+ )?(?:exist|have|like|accept|match|recognize)",
        r"\bno longer (?:\w+ ){0,3}(?:valid|active|exists?|available|accept|works?|employ)",
        r"\bno (?:mailbox|user|route|mail ?hosts?|such|valid|matches|account|mx|immediate forwarding)\b",
        r"\b(?:host|domain)(?: name)? (?:not found|unknown|lookup|look-?up)|\bname (?:service|server) error",
        r"\bhost or domain name",
        r"\b(?:connection|session|connect) (?:\w+ ){0,3}(?:timed? ?out|refused|failed|dropped|reset)",
        r"\b(?:message|retry|delivery|queue)\S* (?:time ?-?out|has )?(?:\w+ )?(?:expired|exceeded)",
        r"\btoo (?:long|old|many hops|large|big)\b",
        r"\b(?:relay|relaying|access|permission) (?:\w+ ){0,2}(?:denied|prohibited|not|refused)",
        r"\bblocked (?:by|using|for|because)|\bpolicy (?:violation|reason)|\bspam (?:content|message|detected)",
        r"\bdelive?ry\b[^.]{0,60} (?:was |has been |is )?(?:aborted|cancel+ed)|\bcould not find\b",
        r"\bfailed mail\b|\(fail(?:ure|ed)\)|\bdid not (?:\w+ )?match\b",
        r"\bnot (?:a )?(?:list )?member\b",
        r"\btransaction failed|\bcommand rejected|\bprotocol error|\bsyntax error",
        r"\bremote (?:host|server) (?:said|told|respon|answer|return)",
        r"(?:^|[\s<>(\[:\"'])5[0-5]\d[ -](?:#?5\.\d{1,3}\.\d{1,3}\b|[^\d\s.,:]{2})",
        r"\bnicht (?:\w+ ){0,4}(?:zugestellt|zustellbar|ausgeliefert|gefunden|erreich|übermittelt|angenommen)",
        r"\bunzustellbar|\bunbekannter? (?:benutzer|empfänger|adress)",
        r"\bzustellung (?:\w+ ){0,6}(?:fehlgeschlagen|nicht)|\bfehler bei (?:der )?(?:zustellung|übermittlung)",
        r"\bexistiert nicht|\bpostfach (?:ist )?voll",
        r"\b(?:n'a|n'ont|ne|n')\s?(?:\w+ ){0,4}(?:pas|pu) (?:\w+ ){0,3}(?:remis|livr|distribu|délivr|achemin|"
        r"reçu|trouv|exist|être)",
        r"\bnon (?:remis|distribu|délivr)|\béchec (?:de|d')|\bdestinataires? (?:\w+ )?(?:inconnu|invalid)",
        r"\bimpossible (?:de|d')|\bboîte aux lettres pleine|\binconnu\b",
        r"\bno (?:se )?(?:ha |han |pudo |puede |pueden |fue |pudieron )?(?:podido |posible |sido )*(?:ser "
        r")?(?:entreg|envia|existe|encontr)",
        r"\bdestinatari[oa]s? (?:\w+ )?(?:desconocid|no )|\bfallo (?:\w+ )?(?:la )?entrega",
        r"\bbuzón (?:está )?lleno|\bdesconocido\b",
        r"\bimpossibile (?:consegn|recapit|inoltr|inviar)",
        r"\bnon (?:è |sono |ha )?(?:stato |stata |stati )?(?:possibile |potuto )?(?:essere )?(?:consegna|"
        r"recapit|esist|invia|raggiun)",
        r"\bmancat[ao] (?:consegna|recapito)|\bsconosciut[oa]|\binesistente|\bcasella (?:\w+ )?piena",
        r"\bnão (?:pôde |foi |é |pode )?(?:possível |ser )*(?:entreg|envia|existe|encontr)",
        r"\bfalha (?:na|de) entrega|\bdevolvid[ao]|\bdesconhecid[ao]|\bcaixa (?:\w+ )?cheia",
        r"\bniet (?:\w+ ){0,4}(?:afgeleverd|geleverd|bezorgd|bestelbaar|gevonden)|\bonbestelbaar|\bonbekend",
        r"\bbestaat niet",
        r"\b(?:kunde|kunne|kan|kunnat) (?:inte|ikke) (?:\w+ ){0,3}lever|\bej levererad|\bokänd mottagare",
        r"\bukendt? (?:modtager|bruger)|\bukjent",
        r"\bnie (?:\w+ ){0,5}dostarcz|\bniedostarcz|\bnieznan|\bnie istnieje|\bnedoru[čc]|\bneexistuje",
        r"\bkézbesít\w{1,12} (?:nem|sikertelen)|\bkézbesíthetetlen|\bteslim edilem|\biletilem|\bei voitu toimittaa",
        r"не (?:\S+ ){0,4}(?:доставл|достав|существует|найден|обнаружен)|недоставлен|не удалось|невозможно",
        r"неизвестн\w{1,4} (?:пользовател|адрес|получател)|ошибк\w{1,4} (?:при )?доставк|переполнен",
        r"配信(?:でき|不能|され(?:ま|て)|に失敗|エラー)|届け(?:られ|る)(?:ません|こと)|届きません|送信(?:でき|不能|に失敗|エラー|されません)|お届けできません|存在しません",
        r"存在しない|見つかりません|エラー(?:に|が|を|メール|となり)|不達|受信できません|拒否|宛先(?:不明|が)|容量(?:を)?(?:超|不足)|戻(?:り|され)",
        r"退信|退回|无法(?:投递|送达|传递|发送|被?投递)|投递失败|发送失败|不存在|未送达|被拒(?:绝|收)|拒收|拒绝|無法|失敗|邮箱已满",
        r"반송|실패|전송할 수 없|배달(?:되지|할 수)|존재하지|전달되지 (?:않|못)|찾을 수 없",
    )
)

DELIVERED = Phrases(
    (
        r"\b(?:was|has been|have been|is) (?:successfully )?(?:delivered|relayed)(?: successfully| to (?:the "
        r"following|one or more|its|mailbox|the recipient|this recipient|these recipients|the next)|\.)",
        r"\b(?:successfully|success(?:ful)?:?) (?:mail )?deliver(?:ed|y)",
        r"\bdelivery (?:was |is )?(?:completed|successful|succeeded|complete)",
        r"\bdelivery status notification \(success\)|\brelayed:|\breturn receipt\b.{0,80}\bdelivered",
        r"\bsuccessfully relayed|\bsuccessful mail delivery report",
        r"\bwurde (?:erfolgreich )?(?:zugestellt|übermittelt|ausgeliefert)|\bremis avec succès",
        r"\bentregado correctamente|\bconsegnato con successo",
        r"\bуспешно доставлен",
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
        r"\botomatik (?:cevap|yanıt)",
        r"автоответ|автоматическ\w{1,4} ответ|自動(?:応答|返信)|不在(?:通知|"
        r"のお)|自动(?:回复|答复)|自動回覆|자동 ?(?:응답|회신)|부재중",
        r"\bthank you for (?:your (?:e-?mail|message|mail)|contacting|e-?mailing)",
        r"\bwe (?:have )?received your (?:e-?mail|message|request)|\bticket (?:received|created)|\bread:",
        r"\bread receipt|\breturn receipt \(displayed|\bgelesen:|\blu ?:|\bleído:|\bletto:",
        r"\bplease (?:confirm|verify) your (?:message|e-?mail|address)|\bconfirm(?:ation)? (?:needed|required)",
        r"\bchallenge\b",
    )
)

UNKNOWN_USER = Phrases(
    (
        r"\b(?:user|recipient|mailbox|addressee|account|address|alias|userid|local part)(?: name)?:? "
        r"?(?:<?\S{1,100}@\S{1,100}|\S{1,40})? ?(?:is |was )?(?:unknown|not (?:found|known|exist|listed|"
        r"recogni[sz]ed|a known)|does ?n[o']t exist|doesn'?t have|invalid|no longer exists?)",
        r"\b(?:unknown|no such|invalid|non-?existent|unrecogni[sz]ed) (?:local )?(?:user|recipient|mailbox|"
        r"addressee|account|address|person|alias|userid|email)",
        r"\bunknown:? <?\S{1,100}@|\bno (?:mailbox|account) (?:here )?by that name|\bnot our customer",
        r"\bno (?:user|mailbox|account) (?:here|found|by|with)",
        r"\b(?:user|account|mailbox|email|address|recipient)[^.]{0,80}(?:does not|doesn'?t|did not) exist",
        r"\bnot listed in (?:\w+ ){0,3}(?:directory|address book)|\brecipient name is not recogni[sz]ed",
        r"\bthis user doesn'?t have an? \S{1,40} account|\bthat e-?mail address doesn'?t exist",
        r"\bno such (?:user|person|address)|\bunknown (?:or illegal )?alias|\baddress(?:ee)? unknown",
        r"\baddress (?:you entered )?(?:could not|couldn't) be found",
        r"\bunbekannter (?:benutzer|empfänger)|\bdestinataire inconnu|\butilisateur inconnu",
        r"\busuario desconocido|\butente sconosciuto|\busuário desconhecido|\bgebruiker onbekend",
        r"неизвестн\w{1,4} (?:пользовател|получател|адрес)|ユーザ\w{0,4}(?:が|"
        r"は)?(?:存在しません|見つかりません|不明)|宛先不明|收件人不存在|用户不存在",
    )
)
"""Says that nobody lives at the address, where no enhanced status code says so."""

NO_DOMAIN = Phrases(
    (
        r"\bnxdomain\b|\billegal host|\bcouldn'?t find (?:any host|a mail exchanger)|\bdomain name not found",
        r"\bhost (?:or domain name )?not found(?!, try)|\bhost unknown|\bunknown host",
        r"\b(?:domain|host) (?:name )?(?:\S{1,100} )?(?:does not exist|doesn'?t exist|not found(?!, try)|unknown)",
        r"\bname or service not known|\bno such (?:domain|host)|\bunrout(?:e)?able mail domain",
        r"\bdomain (?:is )?(?:unknown|invalid|not valid)|\bcouldn'?t find any host",
    )
)
"""Says that the domain does not exist, which makes 5.4.4 an address fault."""

NOT_THE_ADDRESS = Phrases(
    (
        r"\bquota\b|\b(?:mail)?box (?:\w+ )?(?:is )?full|\bdisk (?:is )?full",
        r"\binsufficient (?:disk|storage|system)",
        r"\bblack-?list|\bblock-?list|\bspam\b|\bspf\b|\bdkim\b|\bdmarc\b|\bpolicy\b|\breputation\b",
        r"\brelay(?:ing)? (?:access )?(?:denied|prohibited|not)",
        r"\brecipient preferences|\bpreferences of the (?:recipient|person)|\bnot accepting mail from",
        r"\bsender (?:\w+ ){0,2}(?:rejected|denied|unknown)",
    )
)
"""Another reason than the address, whatever the code says: many systems answer 5.1.1 or 550 for policy."""

# Where a mail stops telling its story and shows the mail that it is about.
ORIGINAL = re.compile(
    r"^[ \t>=_*#-]{0,80}(?:"
    r"(?:begin |start of |the |a |here is |this is |attached is |included is |below (?:this line )?is |"
    r"contents? of |headers? of |copy of |first \d+ \w+ of )*"
    r"(?:(?:original|returned|unsent|undelivered|bounced|quoted|transmitted|rejected|failed|your)"
    r"[- ](?:mail|message|e-?mail|header|letter)s?[^\n]{0,60}"
    r"\b(?:follows|following|below|begins|starts|attached|info(?:rmation)?|headers?|text|contents?)\b[ \t.:*=_-]*|"
    r"(?:original|returned|unsent|undelivered|bounced) (?:mail|message|header)s?[ \t]*[:*=_-]+[ \t]*|"
    r"(?:message|mail) headers?[ \t]*[:*=_-]+[ \t]*)"
    r"|(?<=[-=_*# \t]{2})(?:below this line|this is a copy|message (?:header|body|text|contents?)|headers?|"
    r"copy of|body of|mail header|received|"
    r"original|original (?:message|mail)|returned (?:message|mail)|undelivered (?:message|mail)|"
    r"message (?:follows|is as follows)|beginning of)\b[^\n]{0,100}"
    r"|(?<![-=_*#])(?:(?:ursprüngliche|original)[- ]?nachricht[^\n]{0,40}|message d'origine[^\n]{0,40}|"
    r"mensaje original[^\n]{0,40}|messaggio originale[^\n]{0,40}|mensagem original[^\n]{0,40}"
    r"|(?:received|return-path|x-mailer|mime-version|dkim-signature|x-originating-ip|domainkey-signature|"
    r"content-transfer-encoding)[ \t]*:[^\n]*)"
    r")$",
    re.IGNORECASE | re.MULTILINE,
)
