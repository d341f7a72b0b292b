# What a run of the tests did not test, and why, and what it had to try twice, from gotestsum's file: awk -v lint=WHAT -f e2e/not-tested.awk build/tests.json
function field(name,    text) {
	if (!match($0, "\"" name "\":\"([^\"\\\\]|\\\\.)*\"")) return ""
	text = substr($0, RSTART + length(name) + 4, RLENGTH - length(name) - 5)
	gsub(/\\"/, "\"", text); gsub(/\\t/, " ", text); gsub(/\\n$/, "", text); gsub(/\\u003c/, "<", text); gsub(/\\u003e/, ">", text); gsub(/\\u0026/, "\\&", text)
	return text
}
/"Action":"fail"/ { failed = 1 }
{ test = field("Package") " " field("Test") }
/"Action":"output"/ {
	text = field("Output")
	if (text ~ /^ +[a-z_0-9]+\.go:[0-9]+: /) { sub(/^ +[a-z_0-9]+\.go:[0-9]+: /, "", text); said[test] = text }
}
/"Action":"fail"/ && /"Test":/ { fell[test] = 1 }
/"Action":"pass"/ && fell[test] { second = second "\n    " test; delete fell[test] }
/"Action":"skip"/ && /"Test":/ && !/"Test":"Fuzz[^"]*\// {
	why = said[test]
	if (why ~ /`make test` runs this once more/) next
	sub(/^NOT TESTED:? */, "", why)
	if (!(why in tests)) order[++n] = why
	sub(/^ringfence\//, "", test); sub(/ /, ".", test)
	tests[why] = tests[why] "\n    " test
}
END {
	if (lint != "") order[++n] = lint
	print n ? "NOT TESTED here:" : failed ? "What ran left nothing out; what failed may have." : "Everything was tested here."
	for (i = 1; i <= n; i++) print "  " (order[i] == "" ? "it does not say why" : order[i]) tests[order[i]]
	if (second) print "FAILED FIRST, and passed when tried once more alone:" second
}
