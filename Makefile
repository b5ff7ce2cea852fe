.DEFAULT_GOAL := help
.PHONY: help run unit test check cross size ipk sdcard dist reproducible bench soak fuzz board board-full board-shell screenshots

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

run: ## record a camera (URL=rtsp://…, or the test camera) into ./recordings (or DIR=…) until Ctrl-C
	@ci/run.sh

unit: ## the unit tests; installs nothing
	@cargo test --lib

test: ## everything: installs what it needs, checks, unit tests, end-to-end tests
	@ci/test.sh

check: ## formatting, lints, layers, shell scripts, types of the page, crates
	@ci/check.sh

cross: ## the binary for the boards (CROSS=zig: without containers; TARGET=…; FEATURES=pictures)
	@ci/cross.sh

size: ## what that binary is made of, by section and crate
	@ci/cross.sh --size

ipk: cross ## packages for opkg, of both kinds
	@ci/package.sh ipk

sdcard: cross ## a folder and a zip to copy onto an SD card
	@ci/package.sh sdcard

dist: ## all packages, for all processors, with checksums and a list of components
	@ci/dist.sh

reproducible: ## two clones of this commit, in two places, must give the same bytes
	@ci/reproducible.sh

bench: ## smolnvr beside FFmpeg and beside the least that is possible, on the same stream; figures go to ci/bench/
	@python3 ci/bench.py

soak: ## the long runs at full length; figures go to ci/bench/
	@ci/soak.sh

fuzz: ## looks for input that hurts, with libFuzzer (TARGET=… for some, SECONDS=… each; the table goes to ci/bench/)
	@ci/fuzz.sh $(or $(SECONDS),140) $(TARGET)

board: ## boots a board with 32 MB in QEMU, records on it and breaks it (TEST=… for some; figures go to ci/bench/)
	@python3 ci/board/run.py --keep $(TEST)

board-full: ## the same with everything at full length
	@python3 ci/board/run.py --full --keep $(TEST)

board-shell: ## a shell on such a board that records the test camera, its page on port 8080 (or PORT=…)
	@python3 ci/board/run.py --shell $(or $(PORT),8080)

screenshots: ## takes the README's pictures of the page
	@cargo build --quiet --release --workspace && sh ci/python.sh ci/screenshots.py target/release/smolnvr target/release/camera
