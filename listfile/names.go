package listfile

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// role is what a column is read for.
type role uint8

const (
	roleNumber role = iota
	roleReason
	roleExpires
	roles
)

// roleNames are the words by which --column names a role.
var roleNames = [roles]string{"number", "reason", "expires"}

// headers are the names that columns have in the field, in the form that folded gives them: without blanks, signs and accents.
// Of those for the reason the first that a table has is taken: its own word, then what describes, then what only names.
var headers = [roles]map[string]int{
	roleNumber: places(`number numbers phone phones phonenumber phonenumbers telephone telephonenumber tel telno telnumber phoneno mobile mobilephone
		mobileno mobilenumber cell cellphone caller callers callerid calleridnumber calleridnum callernumber callingnumber callingparty ani cli msisdn
		pattern entry e164 homephone workphone businessphone otherphone primaryphone phone1 phone2 phone3 phone1value phone2value phone3value fax
		nummer nummern telefonnummer telefonnummern telefon telefonnr telnr rufnummer rufnummern rufnr handy handynummer mobil mobilnummer mobiltelefon
		mobilfunknummer festnetz anrufer anrufernummer
		numero numeros telephones numerodetelephone numerotelephone numtel portable appelant numeroappelant
		telefono telefonos numerodetelefono numerotelefono movil celular llamante cellulare chiamante numeroditelefono
		telefone telefones numerodetelefone telemovel chamador telefoonnummer telefoon mobiel beller
		numer numertelefonu komorka puhelinnumero puhelin matkapuhelin telefonnicislo cislo numara telefonnumarasi arayan
		номер номертелефона телефон мобильный звонящий
		号码 號碼 电话 電話 电话号码 電話號碼 手机 手機 手机号 手機號 手机号码 手機號碼 主叫 主叫号码 主叫號碼 来电 来电号码 來電號碼 联系电话 聯絡電話
		電話番号 番号 発信者番号 発信番号 携帯 携帯電話 번호 전화번호 전화 휴대폰 휴대전화 발신번호 발신자번호`),
	roleReason: places(`reason reasons why
		grund begrundung raison motif motivo motivos razon razao reden powod syy duvod sebep причина 原因 理由 拉黑原因 사유 이유
		description desc comment comments remark remarks note notes memo
		beschreibung bemerkung bemerkungen kommentar notiz notizen anmerkung hinweis commentaire commentaires remarque remarques
		descripcion comentario comentarios nota notas observacion observaciones descrizione commento note descricao observacao observacoes
		omschrijving opmerking notitie opis komentarz uwagi notatka kuvaus huomautus popis poznamka aciklama not описание комментарий примечание
		备注 備註 说明 說明 描述 注释 備考 メモ 説明 비고 메모 설명
		info information text subject title label tag category type kategorie art typ bezeichnung betreff libelle categorie categoria tipo asunto
		tytul kategoria категория тип 类型 類型 标签 標籤 分类 分類 種類 종류
		name names displayname fullname callername calleridname contact contactname company organization organisation
		firma vorname nachname anzeigename nom prenom societe nombre empresa nome azienda naam bedrijf nazwa nimi jmeno ad isim имя название
		名称 名稱 姓名 名字 名前 氏名 이름 성명`),
	roleExpires: places(`expires expiry expire expiration expirydate expirationdate expiresat expireson until validuntil validto validthru validtill
		enddate blockuntil ttl
		ablauf ablaufdatum bis gultigbis lauftab verfallt verfallsdatum expirele expireen dateexpiration datedexpiration jusque jusqua jusquau
		valablejusquau validejusquau echeance caduca caducidad vence vencimiento hasta validohasta expira fechadecaducidad
		scadenza scade finoa validofinoa datadiscadenza validade validoate ate datadevalidade verloopt vervaldatum geldigtot tot
		wygasa waznedo datawaznosci voimassa platnost platnostdo sonkullanma bitis срок до действуетдо истекает срокдействия
		有效期 有效期至 有效期限 到期 到期日 到期日期 到期时间 到期時間 过期时间 過期時間 失效时间 截止 截止日期 期限 有効期限 만료 만료일 유효기간 유효기한`),
}

// places gives each word its place among them, from 1.
func places(words string) map[string]int {
	all := map[string]int{}
	for i, w := range strings.Fields(words) {
		if w = folded(w); all[w] == 0 {
			all[w] = i + 1
		}
	}
	return all
}

// folded is a column's name as it is compared: letters and digits of any script alone, in small letters, without accents.
func folded(name string) string {
	if len(name) > 200 { // no name of a column
		return ""
	}
	plain := strings.Map(func(r rune) rune {
		switch {
		case unicode.Is(unicode.Mn, r), !unicode.IsLetter(r) && !unicode.IsDigit(r):
			return -1
		case r == 'ß':
			return 's'
		case r == 'ł':
			return 'l'
		}
		return unicode.ToLower(r)
	}, norm.NFD.String(name))
	return norm.NFC.String(plain)
}
