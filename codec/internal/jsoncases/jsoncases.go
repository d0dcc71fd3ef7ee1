// Package jsoncases holds documents that show whether a JSON codec takes what is
// JSON and nothing else. It follows the categories of the JSONTestSuite, with
// what that suite leaves open decided as package codec decides it.
package jsoncases

import (
	_ "embed"
	"strings"
)

// Case is a text and whether a codec takes it.
type Case struct {
	Name, Text string
	Valid      bool
}

//go:embed tweets.ndjson
var tweets string

// Tweets are generated tweets of about two kilobytes, with escapes, numbers
// beyond 2^53, nulls and, in some, a second tweet inside.
func Tweets() [][]byte {
	var all [][]byte
	for line := range strings.Lines(tweets) {
		all = append(all, []byte(strings.TrimSuffix(line, "\n")))
	}
	return all
}

// Values may stand alone, and wherever in a document a value may: in a field, in
// a member that nobody reads, in an array.
func Values() []Case { return values }

// Documents are whole documents.
func Documents() []Case { return documents }

const surrogate, otherHalf = `\ud83d`, `\ude00`

var values = []Case{
	{"zero", `0`, true}, {"minus zero", `-0`, true}, {"minus one", `-1`, true}, {"fraction", `1.25`, true},
	{"exponent", `1e5`, true}, {"capital exponent", `1E5`, true}, {"plus in the exponent", `1e+5`, true},
	{"minus in the exponent", `1e-5`, true}, {"zero with exponent", `0e1`, true}, {"fraction with exponent", `-1.5E-03`, true},
	{"fraction of zeros", `0.000`, true}, {"integer beyond 64 bits", `123456789012345678901234567890`, true},
	{"number too small to tell from zero", `1e-400`, true},
	{"fraction of a hundred digits", `0.` + strings.Repeat("3", 100), true},
	{"no digit", `-`, false}, {"plus", `+1`, false}, {"two minuses", `--1`, false}, {"leading zero", `01`, false},
	{"leading zero after minus", `-01`, false}, {"two zeros", `00`, false}, {"no digit before the point", `.5`, false},
	{"no digit between minus and point", `-.5`, false}, {"no digit after the point", `1.`, false},
	{"exponent right after the point", `1.e5`, false}, {"exponent without digits", `1e`, false},
	{"exponent sign without digits", `1e+`, false}, {"two exponents", `1e5e5`, false}, {"two letters of exponent", `1ee5`, false},
	{"two points", `1.2.3`, false}, {"sum", `1+1`, false}, {"difference", `1-2`, false}, {"hexadecimal", `0x10`, false},
	{"underscore in a number", `1_000`, false}, {"space in a number", `1 000`, false}, {"letter after a number", `1a`, false},
	{"full-width digit", `１`, false},
	{"NaN", `NaN`, false}, {"nan", `nan`, false}, {"Infinity", `Infinity`, false}, {"-Infinity", `-Infinity`, false}, {"inf", `inf`, false},

	{"empty string", `""`, true}, {"string", `"abc"`, true}, {"every short escape", `"\"\\\/\b\f\n\r\t"`, true},
	{"escaped letter", `"\u0041"`, true}, {"escape in capitals", `"\u00E9"`, true}, {"escaped zero", `"\u0000"`, true},
	{"surrogate pair", `"` + surrogate + otherHalf + `"`, true}, {"first half of a pair", `"` + surrogate + `"`, true},
	{"second half of a pair", `"` + otherHalf + `"`, true}, {"halves in the wrong order", `"` + otherHalf + surrogate + `"`, true},
	{"half of a pair and a letter", `"` + surrogate + `x"`, true}, {"half of a pair and an escape", `"` + surrogate + `\n"`, true},
	{"half of a pair, twice", `"` + surrogate + surrogate + otherHalf + `"`, true},
	{"text beyond ASCII", `"é日😀"`, true}, {"DEL", "\"\x7f\"", true}, {"line separator U+2028", "\"\u2028\"", true},
	{"noncharacter U+FFFF", "\"\uffff\"", true}, {"replacement character", "\"\ufffd\"", true}, {"byte order mark in a string", "\"\ufeff\"", true},
	{"quote alone", `"`, false}, {"string without end", `"abc`, false}, {"string that ends in a backslash", `"abc\`, false},
	{"string whose end is escaped", `"abc\"`, false}, {"single quotes", `'abc'`, false}, {"no quotes", `abc`, false},
	{"escape that JSON lacks", `"\a"`, false}, {"hexadecimal escape", `"\x41"`, false}, {"escaped single quote", `"\'"`, false},
	{"capital U escape", `"\U0041"`, false}, {"escape of three digits", `"\u004"`, false}, {"escape with a letter g", `"\u00g1"`, false},
	{"half of a pair and a broken escape", `"` + surrogate + `\u"`, false}, {"half of a pair and half an escape", `"` + surrogate + `\ude"`, false},
	{"escaped byte beyond ASCII", "\"\\\u00e9\"", false}, {"escaped line feed", "\"\\\n\"", false},
	{"line feed in a string", "\"a\nb\"", false}, {"tab in a string", "\"a\tb\"", false}, {"zero byte in a string", "\"a\x00b\"", false},
	{"control character in a string", "\"a\x1fb\"", false},
	{"byte ff in a string", "\"\xff\"", false}, {"lone continuation byte", "\"\x80\"", false}, {"overlong slash", "\"\xc0\xaf\"", false},
	{"surrogate in UTF-8", "\"\xed\xa0\x80\"", false}, {"beyond U+10FFFF", "\"\xf4\x90\x80\x80\"", false}, {"cut UTF-8", "\"\xe2\x82\"", false},
	{"Latin-1", "\"caf\xe9\"", false},

	{"true", `true`, true}, {"false", `false`, true}, {"cut true", `tru`, false}, {"cut false", `fals`, false}, {"cut null", `nul`, false},
	{"longer true", `truex`, false}, {"longer null", `nulll`, false}, {"capital True", `True`, false}, {"NULL", `NULL`, false}, {"undefined", `undefined`, false},

	{"empty array", `[]`, true}, {"array", `[1,"a",null,[true],{}]`, true}, {"array with spaces", " [ 1 ,\t2\r\n] ", true},
	{"trailing comma in an array", `[1,]`, false}, {"leading comma in an array", `[,1]`, false}, {"comma alone in an array", `[,]`, false},
	{"two commas in an array", `[1,,2]`, false}, {"no comma in an array", `[1 2]`, false}, {"colon in an array", `[1:2]`, false},
	{"semicolon in an array", `[1;2]`, false}, {"array without end", `[1`, false}, {"array cut after a comma", `[1,`, false},
	{"array opened", `[`, false}, {"array closed", `]`, false}, {"array closed by a brace", `[1}`, false}, {"array closed twice", `[1]]`, false},
	{"array opened twice", `[[1]`, false}, {"word in an array", `[a]`, false}, {"minus in an array", `[-]`, false}, {"string in an array without end", `["a]`, false},

	{"empty object", `{}`, true}, {"object", `{"a":1,"b":[2],"c":{"d":null}}`, true}, {"object with spaces", " { \"a\" :\t1 ,\r\n\"b\" : 2 } ", true},
	{"empty key", `{"":1}`, true}, {"escaped key", `{"\u0061":1}`, true}, {"key twice", `{"a":1,"a":2}`, true},
	{"trailing comma in an object", `{"a":1,}`, false}, {"leading comma in an object", `{,"a":1}`, false}, {"comma alone in an object", `{,}`, false},
	{"two commas in an object", `{"a":1,,"b":2}`, false}, {"no comma in an object", `{"a":1 "b":2}`, false}, {"semicolon in an object", `{"a":1;"b":2}`, false},
	{"no colon", `{"a" 1}`, false}, {"two colons", `{"a"::1}`, false}, {"no value", `{"a":}`, false}, {"key alone", `{"a"}`, false}, {"no key", `{:1}`, false},
	{"number as key", `{1:1}`, false}, {"word as key", `{a:1}`, false}, {"null as key", `{null:1}`, false}, {"key in single quotes", `{'a':1}`, false},
	{"word as value", `{"a":b}`, false}, {"equals sign", `{"a"=1}`, false},
	{"object without end", `{"a":1`, false}, {"object opened", `{`, false}, {"object closed", `}`, false}, {"object closed by a bracket", `{"a":1]`, false},
	{"object closed twice", `{"a":1}}`, false}, {"escape that JSON lacks in a key", `{"\x":1}`, false}, {"line feed in a key", "{\"a\n\":1}", false},
	{"byte ff in a key", "{\"\xff\":1}", false},

	{"vertical tab", "\v1", false}, {"form feed", "\f1", false}, {"no-break space", "\u00a01", false}, {"ideographic space", "\u30001", false},
	{"byte order mark inside", "\ufeff1", false}, {"comment before", `/**/1`, false}, {"comment after", `1/**/`, false}, {"line comment", "1//", false},
	{"hash comment", `1#`, false}, {"zero byte", "\x00", false},
}

var documents = []Case{
	{"nothing", "", false}, {"space", " ", false}, {"line feed", "\n", false}, {"null", "null", false}, {"null with spaces", " null\n", false},
	{"two nulls", "null null", false}, {"null and more", "nullx", false},
	{"two documents", "{}{}", false}, {"two documents on two lines", "{}\n{}", false}, {"letter after the document", "{}x", false},
	{"comma after the document", "{},", false}, {"number after the document", "{}0", false}, {"zero byte after the document", "{}\x00", false},
	{"zero byte before the document", "\x00{}", false}, {"byte order mark", "\ufeff{}", false}, {"byte ff before", "\xff{}", false},
	{"byte ff after", "{}\xff", false}, {"byte ff between", "{\xff}", false}, {"UTF-16", "{\x00}\x00", false},
	{"line feed after the document", "{}\n", true}, {"space all around", " \t\r\n{} \t\r\n", true},
	{"HTML", "<html><body>502 Bad Gateway</body></html>", false}, {"sentence", "Exceeded connection limit for user", false},
	{"as deep as allowed", deep(10_000, "[", "", "]"), true}, {"one deeper than allowed", deep(10_001, "[", "", "]"), false},
	{"objects as deep as allowed", deep(10_000, `{"a":`, "1", "}"), true}, {"objects one deeper", deep(10_001, `{"a":`, "1", "}"), false},
	{"skipped as deep as allowed", `{"zzz":` + deep(9_999, "[", "", "]") + `}`, true}, {"skipped one deeper", `{"zzz":` + deep(10_000, "[", "", "]") + `}`, false},
	{"100,000 arrays", deep(100_000, "[", "", "]"), false}, {"100,000 arrays opened", deep(100_000, "[", "", ""), false},
	{"100,000 objects opened", deep(100_000, `{"a":`, "", ""), false}, {"a million arrays opened", deep(1_000_000, "[", "", ""), false},
}

func deep(n int, open, inside, end string) string {
	return strings.Repeat(open, n) + inside + strings.Repeat(end, n)
}
