package daemon

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"ringfence/conf"
	"ringfence/console"
)

// The examples of docs/api.md work as they are written, in their order, with a token of an administrator.
func TestExamplesOfAPI(t *testing.T) {
	for _, tool := range []string{"curl", "jq"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("NOT TESTED: the examples need %s: %v", tool, err)
		}
	}
	page, err := os.ReadFile("../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	c := installation(t, bounding)
	c.Console = &conf.Console{Listen: "127.0.0.1:0"}
	d := start(t, c)
	token, err := d.book.AddToken(console.WithWho(t.Context(), &console.Who{Name: "root", Way: console.BySocket, Role: console.Admin}), console.NewToken{Name: "examples", Role: console.Admin})
	if err != nil {
		t.Fatal(err)
	}
	folder, run := t.TempDir(), 0
	for i, block := range strings.Split(string(page), "```") {
		text, ok := strings.CutPrefix(block, "sh\n")
		if i%2 == 0 || !ok || !strings.Contains(text, "curl") {
			continue
		}
		run++
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		cmd := exec.CommandContext(ctx, "sh", "-e", "-c", strings.ReplaceAll(text, "http://127.0.0.1:8085", strings.TrimSuffix(d.ConsoleAddress(), "/")))
		cmd.Dir, cmd.Env = folder, append(os.Environ(), "TOKEN="+token.Secret)
		out, err := cmd.CombinedOutput()
		cancel()
		if err != nil || strings.Contains(string(out), `"error":`) {
			t.Errorf("%v\n%s\n%s", err, text, out)
		}
	}
	if run < 5 {
		t.Errorf("found %d examples, want all of them", run)
	}
}
