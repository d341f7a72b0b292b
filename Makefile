# Bare `make` lists what there is.

GO ?= go
export CGO_ENABLED ?= 1

# Up to three tests that fail, and not by a race, are run once more by themselves, for a machine may be busy. Those that pass then are named at the end.
SECOND_TRY = --rerun-fails=1 --rerun-fails-max-failures=3 --rerun-fails-abort-on-data-race --rerun-fails-run-root-test

.PHONY: help build demo demo-sip demo-cluster soak test prove catch race-tools short lint fuzz crash flood bench-lists bench-lines bench-calls bench cluster tables tables-asterisk pictures sounds asterisk chromium nats clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build ./ringfence
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-X ringfence/cmd.commit=$$(git describe --always --dirty --abbrev=12 --exclude='*' 2>/dev/null)" -o ringfence .

demo: build ## watch calls being screened: a daemon on a throw-away folder and a simulated FreeSWITCH
	./ringfence demo

test: race-tools asterisk chromium nats lint ## all tests, with the race detector; ends with what was not tested and what failed
	$(GO) test -run 'TestDamaged$$|TestAttackFlood$$|TestProperty|TestMeshTripsTheSame$$|TestAloneIsAsEver$$|TestCatch$$|TestOwnMemory$$|TestScripts$$' ./storage ./detect ./e2e/traces ./lists ./cmd
	@mkdir -p build; rm -f build/tests.json
	@failed=0; \
	$(GO) tool gotestsum --format pkgname --hide-summary skipped --jsonfile build/tests.json $(SECOND_TRY) --packages ./... -- -race -timeout 20m || failed=1; \
	[ ! -f build/tests.json ] || awk -v lint="$$(cat build/lint-not-tested 2>/dev/null)" -f e2e/not-tested.awk build/tests.json; \
	[ $$failed = 0 ] || { \
		echo "FAILED, most of it above; all of it is in build/tests.json:"; \
		[ ! -f build/tests.json ] || sed -n 's/.*"Action":"fail","Package":"\([^"]*\)",*\("Test":"\([^"]*\)"\)*.*/  \1 \3/p' build/tests.json | sort -u; exit 1; }

prove: asterisk ## what takes longer than the tests (two hours): fuzz, crash, flood, ten million numbers, tables, soak; into docs/measured.md. ONLY="crash fuzz" runs these
	@CGO_ENABLED=0 $(GO) run ./e2e/prove $(ONLY)

short: ## the tests without the long ones and without the race detector, and so without a C compiler
	CGO_ENABLED=0 $(GO) test -short ./...

lint: ## go vet, gofumpt, staticcheck, go mod tidy and govulncheck, each at the version in go.mod
	$(GO) vet ./...
	@out=$$($(GO) tool gofumpt -l .); [ -z "$$out" ] || { echo "gofumpt would change: $$out"; exit 1; }
	$(GO) tool staticcheck ./...
	$(GO) mod tidy -diff
	@mkdir -p build; rm -f build/lint-not-tested; out=$$($(GO) tool govulncheck ./... 2>&1) || case $$out in \
		*"fetching vulnerabilities:"*) echo "NOT TESTED: govulncheck cannot reach the database of vulnerabilities: $$out"; \
			echo "govulncheck cannot reach the database of vulnerabilities" >build/lint-not-tested ;; \
		*) echo "$$out"; exit 1 ;; esac

fuzz: ## every fuzz target for 30 seconds
	@for p in $$($(GO) list ./...); do \
		for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz' || true); do \
			echo "$$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime 30s $$p || exit 1; \
		done; \
	done

bench-lists: ## lists of up to ten million numbers: import, restart, memory, look-ups beside bbolt and a Go map
	$(GO) test -run TestBench -count 1 -timeout 30m -v ./daemon -lists 10000000

bench-lines: ## 100,000 lines of customers with 200,000 numbers: memory, restart, import, look-ups, and decisions with them
	$(GO) test -run 'TestBenchLines$$' -count 1 -timeout 10m -v ./daemon -lines 100000
	$(GO) test -run '^$$' -bench 'Lines|LineOf' ./lines ./desk ./inforce

bench-calls: ## a million calls: how large the journal's index is, and how long searches take; 200 live views beside 500 calls a second
	$(GO) test -run 'TestBenchSearch$$' -count 1 -timeout 20m -v ./storage -records 1000000
	$(GO) test -run 'TestBenchRanges$$' -count 1 -timeout 20m -v ./desk -calls 1000000
	$(GO) test -run 'TestBenchFollow$$' -count 1 -timeout 10m -v ./desk -follow 10s
	$(GO) test -run 'TestBenchLive$$' -count 1 -timeout 10m -v ./daemon -live 40s
	$(GO) test -run '^$$' -bench Record ./screening

crash: ## the storage's crash test with 500 kills instead of a few dozen
	$(GO) test -run 'TestKill|TestWritesCutShort' -count 1 -timeout 30m -v ./storage -crash 500

cluster: nats ## several nodes: how soon they know of each other's edits and breakers, what they send, ten million numbers for a new one, 200 rounds of nodes that die
	RINGFENCE_NEED_NATS=1 $(GO) test ./e2e/cluster -run 'TestMeasure|TestCampaignGoesRound|TestServerDiskFull' -count 1 -timeout 60m -v -long
	RINGFENCE_NEED_NATS=1 $(GO) test ./daemon -run 'TestClusterRounds$$' -count 1 -timeout 60m -v -rounds 200

bench: ## the benchmarks, each beside what it is compared with
	$(GO) test -run '^$$' -bench . -benchtime 20000x ./eslbridge
	$(GO) test -run '^$$' -bench . ./number ./policy ./lists ./traffic ./storage ./replay

tables: ## measure a real FreeSWITCH and rewrite docs/measured.md (needs a `freeswitch` on PATH, root, 10 minutes)
	RINGFENCE_WRITE_TABLES=1 $(GO) test ./e2e ./e2e/freeswitch -p 1 -count 1 -run 'ActionsReal|FaultsReal' -timeout 30m

pictures: chromium ## pictures of every page of the console, in both languages, wide and narrow, light and dark, into build/pictures
	RINGFENCE_NEED_CHROMIUM=1 RINGFENCE_PICTURES=$(CURDIR)/build/pictures $(GO) test ./e2e/browser -run 'TestPictures|TestFirstView|TestNoSerious' -count 1 -timeout 30m -v

tables-asterisk: ## measure a real Asterisk, which it gets from Debian, and rewrite its part of docs/measured.md
	RINGFENCE_NEED_ASTERISK=1 RINGFENCE_WRITE_TABLES=1 $(GO) test ./e2e ./e2e/asterisk -p 1 -count 1 -run 'ActionsAsterisk|FaultsAsterisk|OutcomesAsterisk|TestLoad$$' -timeout 30m

catch: ## how much of made-up campaigns the shipped policy's detectors keep from ringing, and whom they touch; into docs/measured.md
	@CGO_ENABLED=0 $(GO) run ./e2e/catch

flood: ## a hundred million forged callers against ten detectors, with a campaign among them: memory, time a call, and whether it is found (half an hour)
	RINGFENCE_FLOOD=100000000 $(GO) test -run 'TestAttackFlood$$' -count 1 -timeout 180m -v ./detect

demo-sip: build ## the same with a real switch: gets Asterisk and sipp from Debian, places SIP calls and says what came of each
	@CGO_ENABLED=0 $(GO) run ./e2e/demosip ./ringfence

demo-cluster: build ## three daemons with one set of lists: gets a server of NATS from Debian, edits on one, spreads a campaign over all, and kills the server
	@CGO_ENABLED=0 $(GO) run ./e2e/democluster ./ringfence

soak: ## a hundred thousand calls through a real Asterisk, 20 minutes; what it saw goes into docs/measured.md
	RINGFENCE_NEED_ASTERISK=1 RINGFENCE_WRITE_TABLES=1 $(GO) test ./e2e/asterisk -run 'TestLoad$$' -count 1 -timeout 90m -v -calls 100000

sounds: ## speak the announcements of conf/sounds/texts.tsv again (needs Debian's espeak-ng and sox)
	sh conf/make-sounds.sh

clean: ## remove what was built
	rm -f ringfence

# The tests place calls through a real Asterisk, unpacked from Debian's packages once. Without one they say so.
asterisk:
	@sh e2e/asterisk/get.sh >/dev/null 2>&1 || echo "THIS RUN HAS NO REAL ASTERISK: sh e2e/asterisk/get.sh says why" >&2

# The tests look at the console in a real Chromium, installed from Debian. Without one they say so.
chromium:
	@sh e2e/browser/get.sh >/dev/null 2>&1 || echo "THIS RUN HAS NO CHROMIUM: sh e2e/browser/get.sh says why" >&2

# Nodes of a cluster meet at a real server of NATS, unpacked from Debian's package once. Without one the tests say so.
nats:
	@sh e2e/nats/get.sh >/dev/null 2>&1 || echo "THIS RUN HAS NO SERVER OF NATS: sh e2e/nats/get.sh says why" >&2

# The race detector wants a C compiler; a fresh machine may have none.
race-tools:
	@command -v gcc >/dev/null && exit 0; \
	as_root="apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev"; \
	command -v apt-get >/dev/null || as_root="the package manager of this system, which is no Debian"; \
	if ! command -v apt-get >/dev/null; then run=false; elif [ "$$(id -u)" = 0 ]; then run=; elif sudo -n true 2>/dev/null; then run=sudo; else run=false; fi; \
	[ "$$run" != false ] && echo "installing gcc for the race detector" && \
	$$run apt-get update -q && $$run apt-get install -qy --no-install-recommends gcc libc6-dev || { \
		echo "make test runs the tests with the race detector, which wants a C compiler, and there is none."; \
		echo "Install gcc as root:"; \
		echo "    $$as_root"; \
		echo "or run make short, which needs none."; exit 1; }
