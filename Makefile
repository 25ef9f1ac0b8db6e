# `make demo` and `make test` are all that a fresh machine with Rust, make and a C compiler needs.

# Vulkan drivers complain where this names no folder.
export XDG_RUNTIME_DIR ?= /tmp

CARGO ?= cargo
AUTOREP = target/release/autorep

# The demo: teacher, search and control on the built-in data, within 3 minutes on two cores.
DEMO_OUT    = runs/demo
DEMO_DATA   = builtin
DEMO_MODEL  = resnet8
DEMO_BUDGET = 10%
DEMO_EPOCHS = --teacher-epochs 8 --search-epochs 5 --finish-epochs 2
DEMO_MORE   = --batch 64

.PHONY: demo test mutants lint bench browser rehearse clean adapter pi-spu pi-crypten pi-ckks slurm adapters

demo: adapter
	@if [ -e $(DEMO_OUT) ]; then echo "removing the earlier $(DEMO_OUT)"; rm -rf $(DEMO_OUT); fi
	$(AUTOREP) search --data $(DEMO_DATA) --model $(DEMO_MODEL) --budget $(DEMO_BUDGET) \
	    $(DEMO_EPOCHS) $(DEMO_MORE) --control --out $(DEMO_OUT)

# One build for all: the program as the tests use it, whose libraries have more features, and then the adapter, since
# it is the program that knows whether there is one.
test:
	$(CARGO) test --release --no-run
	@scripts/ensure-adapter.sh $(AUTOREP)
	$(CARGO) test --release

# Plants a fault at a time in every shader; the emulator must find nearly all. No adapter needed; an hour of two cores.
mutants:
	$(CARGO) test --release --test kernels -- --ignored --nocapture mutants

# The program is built first, since it is what knows whether there is an adapter.
adapter:
	$(CARGO) build --release
	@scripts/ensure-adapter.sh $(AUTOREP)

# Two parties, or three, compute on a searched network in an engine of private inference; with CKKS one does, on what
# is encrypted. RUN=FOLDER names another than a small one that is searched here.
pi-spu pi-crypten pi-ckks: pi-%: adapter
	scripts/private-inference.sh $* $(RUN)

# A tiny sweep under a real Slurm on this machine, installed with apt where it is missing.
slurm: adapter
	scripts/slurm.sh

# A sweep spread over two software adapters.
adapters: adapter
	scripts/two-adapters.sh $(CARGO) test --release --test sweep two_adapters -- --ignored

lint:
	$(CARGO) fmt --check
	$(CARGO) clippy --release --all-targets -- -D warnings

# A headless Chromium on the page of `autorep teach`, as a visitor would use it; PICTURES=FOLDER keeps what it saw.
browser: adapter
	scripts/check_teach_in_browser.py $(AUTOREP) $(if $(PICTURES),--pictures $(PICTURES))

bench: adapter
	$(CARGO) bench

# scripts/gpu-check.sh from end to end with small sizes, then once more as a second call that goes on.
rehearse: adapter
	scripts/gpu-check.sh --rehearse --pack runs/rehearsal/programs
	scripts/gpu-check.sh --rehearse --minutes 3 --from runs/rehearsal/programs \
	    --report runs/rehearsal/report --out runs/rehearsal/run
	scripts/gpu-check.sh --rehearse --minutes 1 --continue --from runs/rehearsal/programs \
	    --report runs/rehearsal/report --out runs/rehearsal/run
	grep -q "| search | ReLUs" runs/rehearsal/report/results.md

clean:
	$(CARGO) clean
