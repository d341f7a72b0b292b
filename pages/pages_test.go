package pages

import "os"

// staticSources are the files of this folder, where go test starts.
var staticSources = os.DirFS(".")
