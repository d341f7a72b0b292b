package listfile

// LineColumns are the columns of a table of lines: groups of called numbers, each with what its customer has chosen. What a billing system's columns
// are called for reasons of its own (email, status, plan, zone) is not among the words: every customer would get mail, or every row be refused. Who
// means such a column names it.
var LineColumns = []Column{
	{Name: "name", Also: "line lines linename 名称 线路", Needed: true},
	{Name: "numbers", Also: `number did dids ddi ddis phone phones phonenumber phonenumbers telephone msisdn e164 tel nummer nummern rufnummer rufnummern
		numero numeros numéro numéros 号码 號碼 电话 電話`, Needed: true},
	{Name: "customer", Also: "client account tenant domain customerid customername kunde kundennummer cliente klant 客户 客戶"},
	{Name: "profile", Also: "screening profil perfil"},
	{Name: "mode"},
	{Name: "timezone", Also: "tz zeitzone 时区 時區"},
	{Name: "language", Also: "lang locale sprache 语言 語言"},
	{Name: "notify", Also: "notification notifications webhook"},
	{Name: "note", Also: "notes comment comments description remark remarks bemerkung 备注 備註"},
}

// FusionPBXColumns are those of FusionPBX's export of destinations that are read. A download in the web interface has domain_uuid alone; a query of
// the database can have domain_name as well.
var FusionPBXColumns = []Column{
	{Name: "destination_number", Needed: true},
	{Name: "domain_name"},
	{Name: "domain_uuid"},
	{Name: "destination_type"},
	{Name: "destination_enabled"},
	{Name: "destination_prefix"},
	{Name: "destination_area_code"},
	{Name: "destination_description"},
	{Name: "destination_context"},
}
