.DEFAULT_GOAL := help
.PHONY: help test race real fuzz kills exact soak bench table ratios plots reading lint ci

FUZZTIME ?= 10s
KILLS ?= 1000
PAIRS ?= 7
TWEETS ?= 100000
TWEETKILLS ?= 5
STATICCHECK = go run honnef.co/go/tools/cmd/staticcheck@v0.8.2

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

test: ## all tests, as the README says
	go test ./...

race: ## all tests under the race detector
	go test -race ./...

real: ## tests against a real Kafka, from Maven Central (needs Java 17 and Maven)
	GODSTREAM_KAFKA=real go test -count 1 -p 1 ./internal/realkafka ./kafka
	GODSTREAM_KAFKA=real go test -count 1 -run 'Kafka$$' ./internal/crashtest

# Up to Go 1.26 a fuzz test may fail at the end of its time with nothing but
# "context deadline exceeded" (golang/go#75804): then it runs again.
fuzz: ## each fuzz test for FUZZTIME (10s)
	@for pkg in $$(go list ./...); do \
		for f in $$(go test -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
			for try in 1 2 3; do \
				echo "== $$pkg $$f"; \
				if out=$$(go test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) $$pkg 2>&1); then echo "$$out"; break; fi; \
				echo "$$out"; \
				if [ $$try = 3 ] || ! echo "$$out" | grep -qx '    context deadline exceeded' || echo "$$out" | grep -q 'Failing input'; then exit 1; fi; \
			done; \
		done; \
	done

kills: ## kill programs KILLS (1000) times at random instants; GODSTREAM_SEED=… repeats one
	GODSTREAM_KILLS=$(KILLS) go test -count 1 -v -timeout 2h -run TestKilledAtRandomInstants ./internal/crashtest

exact: ## kill a program TWEETKILLS (5) times, and real brokers, while it counts TWEETS (100000)
	GODSTREAM_KAFKA=real GODSTREAM_TWEETS=$(TWEETS) GODSTREAM_KILLS=$(TWEETKILLS) go test -count 1 -v -timeout 2h -run 'TestTweets' ./internal/crashtest

soak: kills ## kills, and: exact at length, fail every step of recovery, damage every byte of a checkpoint
	$(MAKE) exact TWEETS=1000000 TWEETKILLS=30
	SOAK=1 go test -timeout 30m ./internal/recovery

bench: ## benchmarks beside their hand-written loops, for benchstat
	go test -run '^$$' -bench . -count 6 -cpu 1 ./...

table: ## jobs of a program beside hand-written loops: BENCH='-rounds 5 -only W2,W3 -peers DIR'
	go run ./bench table $(BENCH)

ratios: ## fail if a job takes half as much again beside its loop as was recorded
	go run ./bench check

plots: ## time against size, as pictures in docs/plots
	go run ./bench plot -out docs/plots

reading: ## what reading from Kafka costs, beside loops on the bare client: PAIRS=7; needs Java and Maven
	GODSTREAM_KAFKA=real GODSTREAM_READING=$(PAIRS) go test -count 1 -v -timeout 1h -run TestCostOfReading ./kafka

lint: ## gofmt, go vet, staticcheck, tidy go.mod
	@test -z "$$(gofmt -l .)" || { gofmt -l .; exit 1; }
	go vet ./...
	$(STATICCHECK) ./...
	go mod tidy -diff

ci: ## everything that CI runs
	.ci/run
