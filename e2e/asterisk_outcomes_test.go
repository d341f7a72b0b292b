package e2e_test

// What asterisk_test.go's Asterisk has beside the screening: a manager, phones of the house with their endpoints,
// and a dialplan for them.

const asteriskManager = `[general]
enabled=yes
bindaddr=127.0.0.1
port=%d
channelvars=RINGFENCE_ID,RINGFENCE_GUARD
[ringfence]
secret=measure-me
read=call
write=
`

const asteriskPhones = `[global]
type=global
endpoint_identifier_order=header,ip
[8001]
%scontext=from-phones
[8001]
type=identify
endpoint=8001
match_header=X-Phone: 8001
`

const asteriskOutside = `
[from-phones]
exten => _X.,1,Dial(PJSIP/telecom/sip:${EXTEN}@HANDSET,30)
[voicemail]
`
