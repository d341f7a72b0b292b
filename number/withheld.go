package number

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// withheldWords are the texts that stand for a caller without a number, as fold leaves them: the words of the SIP privacy drafts
// and of telephone exchanges in many languages, the P and O (private, out of area) of analogue caller ID, and what
// FreeSWITCH and Asterisk put into an empty From.
var withheldWords = wordSet(`
anonymous anonymouscall anonymouscaller anonymousinvalid asterisk blocked blockedcall blockedid blockednumber
callerblocked callerhidden calleridblocked calleridunavailable calleridwithheld calleridrestricted callerunknown callerwithheld
hidden hiddennumber hiddencaller idblocked idhidden idrestricted idunavailable idwithheld nobody nocallerid nocid noid noname none
nonumber notavailable null numberblocked numberhidden numberprivate numberrestricted numberunavailable numberunknown
numberwithheld o outofarea p private privatecall privatecaller privateid privatenumber restricted restrictedcall
restrictedid restrictednumber unavailable undefined unknown unknowncall unknowncaller unknownid unknownname unknownnumber
withheld withheldid withheldnumber

anonym anonymeranruf anonymeranrufer geheim geheimnummer keinenummer keinerufnummer nichtverfugbar nummerunbekannt nummerunterdruckt
nummernichtverfugbar privatnummer privat rufnummerunbekannt rufnummerunterdruckt unbekannt unbekannteranrufer unbekanntenummer
unterdruckt unterdrucktenummer unterdruckterufnummer verborgen verborgenenummer

anonyme appelanonyme appelmasque appelantinconnu appelinconnu appelprive cache identitemasquee indisponible inconnu
masque nondisponible numerocache numeroconfidentiel numeroinconnu numeroindisponible numeromasque numeroprive numerosecret prive secret

anonimo desconocido llamadaanonima llamadaoculta llamadaprivada nodisponible numerodesconocido numeronodisponible numerooculto
numeroprivado oculto privado restringido numerorestringido sinidentificar sinnumero

chiamataanonima nascosto nondisponibile numeroanonimo numeronascosto numerononidentificato numerononvisibile numerononnoto
numeroprivato numeroriservato numerosconosciuto privato riservato sconosciuto

bloqueado chamadaanonima confidencial desconhecido indisponivel naoidentificado numerobloqueado numeroconfidencial numerodesconhecido
numeroindisponivel numeronaoidentificado numerooculto restrito numerorestrito seminumero

afgeschermd afgeschermdnummer anoniem anoniemeoproep geblokkeerd geenid geennummer nietbeschikbaar nummeronbekend nummerafgeschermd
nummerweergavegeblokkeerd onbekend onbekendnummer onbekendebeller priveenummer privenummer verborgennummer

anonymtnummer anropareokand dolt doltnummer hemligt hemligtnummer okand okantnummer okandnummer privatnummer skyddatnummer nummersaknas

anonymtopkald hemmelig hemmelignummer hemmeligtnummer skjultnummer skjult ukendt ukendtnummer ukjent ukjentnummer ingennummer

estetty numeroestetty salainen salainennumero tuntematon tuntematonnumero yksityinen yksityinennumero eisaatavilla piilotettu

anonimowy numernieznany nieznany nieznanynumer numerprywatny numerukryty numerzastrzezony prywatny ukryty zastrzezony zastrzezonynumer
niedostepny brakinformacji

anonymni cislonedostupne neznamy neznamecislo nezname skryte skrytecislo soukrome soukromecislo utajeno utajenecislo neuvedeno
skryteid sukromnecislo

анонимный анонимно анонимныйзвонок номернеопределен номерскрыт неизвестен неизвестный неизвестныйномер неопределен неопределенныйномер
скрыт скрытыйномер скрытый закрытыйномер частныйномер нетномера номернедоступен недоступен

анонімний анонімно невідомий невідомийномер номерприховано приховано прихованийномер прихований невизначений номернедоступний недоступний
приватнийномер

anonim bilinmeyen bilinmeyennumara bilinmiyor gizli gizlinumara numaragizli ozel ozelnumara

匿名 匿名来电 匿名電話 未知 未知号码 未知號碼 未知来电 私人号码 私人號碼 私人电话 隐藏号码 隱藏號碼 无号码 無號碼 无法显示 無法顯示 不显示号码 不顯示號碼
未显示号码 未顯示號碼 号码隐藏 號碼隱藏 保密 保密号码 保密號碼 来电号码不详 來電號碼不詳 無來電顯示 无来电显示 未提供號碼 未提供号码 不明號碼 不明号码

非通知 非通知設定 非通知着信 番号非通知 通知不可能 通知不可 表示圏外 公衆電話 番号不明 不明 発信者番号非通知 発信者不明 サービス競合 匿名着信

발신번호표시제한 발신번호제한 발신자표시제한 발신번호없음 발신번호비공개 번호비공개 비공개 표시제한 익명 알수없음 알수없는번호 발신자정보없음 공중전화

مجهول رقممجهول خاص رقمخاص محجوب رقممحجوب مخفي رقممخفي غيرمعروف رقمغيرمعروف غيرمتاح

חסוי מספרחסוי חסום מספרחסום לאידוע מספרלאידוע פרטי מספרפרטי אנונימי לאזמין

αποκρυψη αποκρυψηαριθμου αγνωστος αγνωστοςαριθμος ανωνυμος ανωνυμη αποκρυψηταυτοτητας ιδιωτικος ιδιωτικοςαριθμος απορρητο απορρητοςαριθμος κρυφοςαριθμος μηδιαθεσιμο

anonimhivas ismeretlen ismeretlenszam ismeretlenhivo magan maganszam rejtett rejtettszam titkos titkosszam nemelerheto

ascuns numarascuns anonimizat necunoscut numarnecunoscut numarprivat privat numarsecret indisponibil
`)

func wordSet(words string) map[string]bool {
	set := make(map[string]bool)
	for _, word := range strings.Fields(words) {
		set[strings.Map(fold, word)] = true
	}
	return set
}

// withheldWord reports whether the text stands for a caller without a number.
func withheldWord(body string) bool {
	if body == "" {
		return true
	}
	if len(body) > 64 {
		return false
	}
	if c := body[0]; c == '+' || c >= '0' && c <= '9' {
		return false
	}
	var buf [128]byte // room for small letters that take more bytes than the capital
	word := buf[:0]
	for _, r := range body {
		if r < 0x80 && r|0x20 >= 'a' && r|0x20 <= 'z' {
			word = append(word, byte(r|0x20))
			continue
		}
		switch class, _ := classify(r); {
		case class == charSeparator, class == charHyphen, class == charOpen, class == charClose, r == '_', r == ':', r == '!', r == '\'', r == '’':
			continue
		case unicode.Is(unicode.Mn, r): // an accent apart from its letter
			continue
		}
		word = utf8.AppendRune(word, fold(r))
	}
	return withheldWords[string(word)]
}

// fold makes a letter small and takes its accent off, since machines on the way lose accents.
func fold(r rune) rune {
	if r >= 0xff21 && r <= 0xff5a { // full width
		r -= 0xff21 - 'A'
	}
	r = unicode.ToLower(r)
	if r < 0x80 || r > 0x1fff {
		return r
	}
	for i := range accents {
		if strings.ContainsRune(accents[i].letters, r) {
			return accents[i].plain
		}
	}
	return r
}

var accents = [...]struct {
	plain   rune
	letters string
}{
	{'a', "àáâãäåāăąạảấầ"},
	{'c', "çćĉċč"},
	{'d', "ďđ"},
	{'e', "èéêëēĕėęě"},
	{'g', "ğģ"},
	{'i', "ìíîïīĭįı"},
	{'l', "łľļĺ"},
	{'n', "ñńņň"},
	{'o', "òóôõöøōőơ"},
	{'r', "řŕ"},
	{'s', "śŝşšș"},
	{'t', "ťţț"},
	{'u', "ùúûüūůűų"},
	{'y', "ýÿ"},
	{'z', "źżž"},
	{'е', "ёѐ"},
	{'и', "йѝ"},
	{'і', "ї"},
	{'α', "ά"},
	{'ε', "έ"},
	{'η', "ή"},
	{'ι', "ίϊΐ"},
	{'ο', "ό"},
	{'υ', "ύϋΰ"},
	{'ω', "ώ"},
	{'σ', "ς"},
}

// placeholders are numbers that switches and callers write for no number: words as they lie on a keypad.
var placeholders = map[string]bool{
	"266696687":   true, // ANONYMOUS
	"86282452253": true, // UNAVAILABLE
	"7378742833":  true, // RESTRICTED
	"7748483":     true, // PRIVATE
	"2562533":     true, // BLOCKED
	"8656696":     true, // UNKNOWN
	"94484353":    true, // WITHHELD
}

// stands reports whether digits that no plan knows stand for a caller without a number: a placeholder, or zeros alone. A number
// that a plan knows is never one.
func (n *Number) stands(d string) bool {
	switch {
	case n.Kind != Invalid && !n.Kinds.Has(Unassigned), n.Reason == reasonInternal:
		return false
	case placeholders[d] || strings.Trim(d, "0") == "":
		return true
	}
	return n.E164 != "" && strings.Trim(n.E164[1+n.cc:], "0") == ""
}
