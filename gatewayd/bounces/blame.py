"""The words that say whose fault it is that a mail did not arrive, as tables. Pure data, as wording.py is."""

from gatewayd.core.phrases import Phrases

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
        r"\b(?:address|account|mailbox|user) (?:is )?no longer (?:accepts? (?:e-?)?mail|exists?|valid|active|in use)\b",
        r"\bnot listed in (?:\w+ ){0,3}(?:directory|address book)|\brecipient name is not recogni[sz]ed",
        r"\bthis user doesn'?t have an? \S{1,40} account|\bthat e-?mail address doesn'?t exist",
        r"\bno such (?:user|person|address)|\bunknown (?:or illegal )?alias|\baddress(?:ee)? unknown",
        r"\baddress (?:you entered )?(?:could not|couldn't) be found",
        r"\bunbekannter (?:benutzer|empfänger)|\bdestinataire inconnu|\butilisateur inconnu",
        r"\badresse (?:\w+ )?(?:wurde nicht gefunden|existiert nicht)",
        r"\badresse n'existe pas|\bn'a pas (?:pu être|été) trouvée?",
        r"\bdirección (?:\w+ ){0,3}(?:no existe|no se encontró)",
        r"\bindirizzo (?:\w+ ){0,2}inesistente|\bkonto nie istnieje",
        r"\busuario desconocido|\butente sconosciuto|\busuário desconhecido|\bgebruiker onbekend",
        r"неизвестн\w{1,4} (?:пользовател|получател|адрес)|宛先不明",
        r"\b(?:benutzer|empfänger|adresse|postfach|konto) (?:\S{1,100} ){0,3}(?:existiert nicht|(?:ist )?unbekannt|"
        r"nicht gefunden)",
        r"\b(?:adresse|utilisateur|destinataire|boîte)(?: \S{1,100}){0,7} (?:n'existe pas|inconnu|"
        r"introuvable|inexistant)",
        r"\b(?:usuario|dirección|destinatario|cuenta|buzón) (?:\S{1,100} ){0,4}(?:no existe|desconocid|inexistente)",
        r"\bno se encontró (?:la dirección|el (?:usuario|destinatario))",
        r"\b(?:utente|indirizzo|destinatario|casella) (?:\S{1,100} ){0,4}(?:sconosciut|inesistente|"
        r"non esiste|non trovat)",
        r"\bimpossibile trovare (?:l'indirizzo|il destinatario)",
        r"\b(?:usuário|endereço|destinatário|conta) (?:\S{1,100} ){0,4}(?:inexistente|não existe|desconhecid|"
        r"não foi encontrad)",
        r"\b(?:adres|gebruiker|mailbox) (?:\S{1,100} ){0,2}(?:bestaat niet|onbekend)|\bonbekende gebruiker",
        r"\bokänd (?:mottagare|användare)|\bukendt (?:modtager|bruger)|\bukjent (?:mottaker|bruker)",
        r"\bnie ma takiego (?:użytkownika|adresu|konta)|\bnie można odnaleźć (?:\S{1,100} ){0,2}adresu",
        r"\b(?:konto|skrzynka|użytkownik|adres) (?:\S{1,100} ){0,2}nie istnieje",
        r"\b(?:schránka|uživatel|užívateľ|používateľ|adresa) (?:\S{1,100} ){0,2}neexistuje",
        r"(?:пользовател|адрес|получател|ящик)\w{0,3} (?:\S{1,100} ){0,2}не (?:существует|найден|зарегистрирован)",
        r"\bтакого (?:пользователя|адреса|ящика) (?:\S{1,100} ){0,2}не(?:т\b| существует)|"
        r"\bне удалось найти (?:\S{1,100} ){0,2}(?:адрес|получател)",
        r"(?:користувач|адрес|скриньк)\w{0,3} (?:\S{1,100} ){0,2}не (?:існує|знайдено)",
        r"\bkullanıcı (?:\S{1,100} ){0,2}bulunamadı|\bfelhasználó (?:\S{1,100} ){0,2}(?:nem létezik|ismeretlen)",
        r"\butilizator\w{0,3} (?:\S{1,100} ){0,2}nu există|\bχρήστης (?:\S{1,100} ){0,2}δεν υπάρχει",
        r"משתמש (?:\S{1,100} ){0,2}(?:אינו|לא) קיים|المستخدم (?:\S{1,100} ){0,2}غير موجود",
        r"(?:アドレス|ユーザ|宛先)\w{0,4}(?:が|は)?(?:存在しません|見つかりません|不明)",
        r"(?:收件人|用户|邮箱|地址)[^。]{0,100}不存在|查无此|查無此",
        r"존재하지 않는 (?:메일|이메일|사용자|계정|수신자)|"
        r"(?:사용자|수신자|계정)[^.]{0,60}(?:존재하지 않|찾을 수 없)",
    )
)
"""Says that nobody lives at the address, where no enhanced status code says so."""

NO_DOMAIN = Phrases(
    (
        r"\bnxdomain\b|\billegal host|\bcouldn'?t find (?:any host|a mail exchanger)|\bdomain name not found",
        r"\bhost (?:or domain name )?not found(?!, try)|\bhost unknown|\bunknown host",
        r"\b(?:domain|host) (?:name )?(?:\S{1,100} )?(?:does not exist|doesn'?t exist|not found(?!, try)|unknown)",
        r"\bname or service not known|\bno such (?:domain|host)|\bunrout(?:e)?able mail domain",
        r"\bdomain (?:is )?(?:unknown|invalid|not valid)|\bcouldn'?t find any host|\bunroute?able address\b",
        # RFC 7505: a domain may say that it never takes any.
        r"\b(?:domain|host) (?:\S{1,100} )?does not accept (?:any )?(?:e-?)?mail\b|\bnull ?mx\b",
    )
)
"""Says that the domain does not exist, which makes 5.4.4 an address fault."""

NOBODY_BEHIND = Phrases((r"\brecipient address rejected: access denied",))
"""What Exchange Online's edge says where the directory behind it has no such recipient; its code is one of routing."""
