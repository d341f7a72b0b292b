// Ringfence screens inbound calls on a PBX before a handset rings. See README.md.
package main

import (
	"os"

	"ringfence/cmd"
)

func main() { os.Exit(cmd.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
