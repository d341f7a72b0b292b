package pages

import (
	"embed"
	"errors"
	"fmt"
	"net/http"
	"path"
	"strconv"
	"strings"

	"golang.org/x/text/language"
)

//go:embed texts
var textsFile embed.FS

// Languages are those that every text is there in, by their names on the web. The first is for who asks for another one.
var Languages = []string{"en", "zh"}

const languageCookie = "ringfence-language"

var languageMatch = language.NewMatcher([]language.Tag{language.English, language.Chinese})

// texts are the strings of a language, by key.
type texts map[string]string

// readTexts reads the files texts/*.tsv: a line a string, its key, English and Chinese. Lines that begin with # are for who reads it.
func readTexts() (map[string]texts, error) {
	files, err := textsFile.ReadDir("texts")
	if err != nil {
		return nil, err
	}
	all := make(map[string]texts)
	for _, lang := range Languages {
		all[lang] = make(texts)
	}
	for _, f := range files {
		file, err := textsFile.ReadFile(path.Join("texts", f.Name()))
		if err != nil {
			return nil, err
		}
		for i, line := range strings.Split(strings.TrimSuffix(string(file), "\n"), "\n") {
			if line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			if err := takeText(all, strings.Split(line, "\t")); err != nil {
				return nil, fmt.Errorf("%s:%d: %w", f.Name(), i+1, err)
			}
		}
	}
	return all, nil
}

// takeText takes the cells of a line.
func takeText(all map[string]texts, cells []string) error {
	if len(cells) != 1+len(Languages) {
		return fmt.Errorf("%d cells, want a key and %d texts", len(cells), len(Languages))
	}
	for n, lang := range Languages {
		if cells[0] == "" || cells[n+1] == "" {
			return errors.New("a cell is empty")
		}
		if _, twice := all[lang][cells[0]]; twice {
			return fmt.Errorf("%s is there twice", cells[0])
		}
		all[lang][cells[0]] = cells[n+1]
	}
	return nil
}

// languageOf is the language that a request is answered in: what ?lang says, else what was chosen before, else what the browser asks for.
func languageOf(r *http.Request) string {
	if lang := r.URL.Query().Get("lang"); isLanguage(lang) {
		return lang
	}
	if c, err := r.Cookie(languageCookie); err == nil && isLanguage(c.Value) {
		return c.Value
	}
	tags, _, err := language.ParseAcceptLanguage(r.Header.Get("Accept-Language"))
	if err != nil {
		return Languages[0]
	}
	_, i, _ := languageMatch.Match(tags...)
	return Languages[i]
}

func isLanguage(lang string) bool {
	for _, l := range Languages {
		if l == lang {
			return true
		}
	}
	return false
}

// rememberLanguage keeps a language that was chosen by ?lang.
func rememberLanguage(w http.ResponseWriter, r *http.Request) {
	lang := r.URL.Query().Get("lang")
	if !isLanguage(lang) {
		return
	}
	http.SetCookie(w, &http.Cookie{
		Name: languageCookie, Value: lang, Path: "/", MaxAge: 365 * 24 * 3600, HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: r.TLS != nil,
	})
}

// fill puts arguments into a text: {0} is the first, and {0|call|calls} is "call" if the first is 1, "calls" if not.
func fill(text string, args []string) string {
	if len(args) == 0 && !strings.Contains(text, "{") {
		return text
	}
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(text, "{")
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		inside, after, ok := strings.Cut(rest, "}")
		if !ok {
			return b.String() + "{" + rest
		}
		text = after
		parts := strings.Split(inside, "|")
		i, err := strconv.Atoi(parts[0])
		switch {
		case err != nil || i >= len(args):
			b.WriteString("{" + inside + "}")
		case len(parts) == 3 && args[i] == "1":
			b.WriteString(parts[1])
		case len(parts) == 3:
			b.WriteString(parts[2])
		default:
			b.WriteString(args[i])
		}
	}
}
