package browser

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// get.sh asks apt for a Chromium where there is none, and for nothing where there is one: for a long time it took its own words for one.
func TestGetAsksForWhatIsMissing(t *testing.T) {
	folder := t.TempDir()
	script, err := filepath.Abs("get.sh")
	if err != nil {
		t.Fatal(err)
	}
	program := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(folder, name), []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	asked := filepath.Join(folder, "asked")
	program("id", "echo 0")
	program("grep", "exec /usr/bin/grep \"$@\"")
	program("fc-list", "echo a font that has Chinese")
	program("timeout", "shift; DEBIAN_FRONTEND= exec \"$@\"")
	program("apt-get", "echo \"$*\" >>"+asked+"; printf '#!/bin/sh\\n' >"+filepath.Join(folder, "chromium")+"; /bin/chmod +x "+filepath.Join(folder, "chromium"))
	for run := range 2 { // the second time it is there
		cmd := exec.CommandContext(t.Context(), "/bin/sh", script)
		cmd.Env = []string{"PATH=" + folder}
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("run %d: %v", run, err)
		}
		if got := strings.TrimSpace(string(out)); got != filepath.Join(folder, "chromium") {
			t.Errorf("run %d prints %q, want where the Chromium lies", run, got)
		}
		text, _ := os.ReadFile(asked)
		if n := strings.Count(string(text), "\n"); n != 1 || !strings.Contains(string(text), " chromium") {
			t.Errorf("after run %d apt was asked %d times, want once, for a chromium:\n%s", run, n, text)
		}
	}
}
