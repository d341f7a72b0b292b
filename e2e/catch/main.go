// Command catch measures what the shipped policy's detectors do to made-up calls of three weeks whose labels are known: `make catch`
// prints the tables and writes them into docs/measured.md. It tunes nothing.
//
//	catch              the tables, for fixed seeds and for ten fresh ones
//	catch -seed 7000   the same with the fresh ones from 7000 on, as the page names them
//	catch -csv 7       the calls of a seed as call detail records: ringfence policy replay FILE --label campaign; -harsh: of the harsh world
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"ringfence/e2e/tables"
	"ringfence/e2e/traces"
)

func main() {
	csv := flag.Uint64("csv", 0, "write the calls of this seed to standard output")
	fresh := flag.Uint64("seed", 1000+uint64(time.Now().Unix())%1_000_000, "the first of the fresh seeds")
	harsh := flag.Bool("harsh", false, "with -csv: of the harsh world")
	flag.Parse()
	world := traces.Ordinary
	if *harsh {
		world = traces.Harsh
	}
	err := run(*csv, *fresh, world)
	if err != nil {
		fmt.Fprintln(os.Stderr, "catch:", err)
		os.Exit(1)
	}
}

func run(csv, fresh uint64, world *traces.World) error {
	if csv != 0 {
		return traces.Make(csv, world).CSV(os.Stdout)
	}
	ctx := context.Background()
	figures, behind := traces.Head(), []string(nil)
	for _, world := range traces.Worlds() {
		more, _, err := traces.Tables(ctx, world, fmt.Sprintf("fresh, from %d on", fresh), traces.Seeds(fresh, 10))
		if err != nil {
			return err
		}
		rows, detail, err := traces.Tables(ctx, world, "fixed", traces.FixedSeeds())
		if err != nil {
			return err
		}
		figures = append(append(figures, more...), rows...)
		if behind != nil {
			detail = detail[2:] // their head
		}
		behind = append(behind, detail...)
	}
	root, err := tables.Root()
	if err != nil {
		return err
	}
	page := filepath.Join(root, "docs", "measured.md")
	for mark, table := range map[string][]string{"catch": figures, "catch, in detail": behind} {
		fmt.Println(strings.Join(table, "\n"))
		if err := tables.Put(page, mark, table); err != nil {
			return err
		}
	}
	return nil
}
