# `make demo` and `make test` are the commands to start with; see CONTRIBUTING.md for the others.

CARGO ?= cargo
# `cargo doc` takes the level of warnings from this variable only.
export RUSTDOCFLAGS ?= -D warnings

.PHONY: demo test lint stress fuzz deb bench build static image-test

demo:
	.ci/require build
	$(CARGO) run --locked --release -- quickstart

test:
	.ci/require test
	$(MAKE) lint
	$(CARGO) test --locked

lint:
	$(CARGO) fmt --check
	$(CARGO) fmt --check --manifest-path fuzz/Cargo.toml
	$(CARGO) clippy --locked --all-targets -- -D warnings
	$(CARGO) doc --locked --no-deps --document-private-items
	@if $(CARGO) deny --version >/dev/null 2>&1; then $(CARGO) deny check; \
	else echo "cargo-deny is not installed: dependency check left out"; fi

# Runs the tests that take minutes, and wall-clock bounds, which want a machine with nothing else to do.
# They use loopback only and are bounded in count and time.
KUBERNETES_VALIDATE = target/kubernetes-validate
CHECK_JSONSCHEMA = target/check-jsonschema
GRAFANA_SCHEMA = target/grafana-schema

stress: static
	.ci/require stress
	$(CARGO) deb --version >/dev/null 2>&1 || $(CARGO) install cargo-deb --locked
	test -x $(KUBERNETES_VALIDATE)/bin/kubernetes-validate || { python3 -m venv $(KUBERNETES_VALIDATE) \
		&& $(KUBERNETES_VALIDATE)/bin/pip install --quiet kubernetes-validate; }
	test -x $(CHECK_JSONSCHEMA)/bin/check-jsonschema || { python3 -m venv $(CHECK_JSONSCHEMA) \
		&& $(CHECK_JSONSCHEMA)/bin/pip install --quiet check-jsonschema; }
	test -x $(GRAFANA_SCHEMA)/node_modules/.bin/tsc || { mkdir -p $(GRAFANA_SCHEMA) \
		&& npm install --prefix $(GRAFANA_SCHEMA) --ignore-scripts --no-audit --no-fund --silent \
		@grafana/schema typescript; }
	$(CARGO) test --locked --test integration -- --ignored --test-threads=1 --nocapture

# The time for new inputs of each fuzz target, in seconds.
FUZZ_SECONDS ?= 60

# Runs the fuzz targets (installs cargo-fuzz). `make test` runs their seeds, too.
fuzz:
	.ci/require build
	fuzz/run $(FUZZ_SECONDS)

# Builds a Debian package in target/debian (installs cargo-deb).
deb:
	.ci/require build
	$(CARGO) deb --version >/dev/null 2>&1 || $(CARGO) install cargo-deb --locked
	$(CARGO) run --locked --quiet --example manual -- target/manual
	$(CARGO) deb --locked

# Measures the cost of a request beside nginx, and prints a table.
bench:
	.ci/require bench
	$(CARGO) build --locked --release
	benches/side-by-side

build:
	.ci/require build
	$(CARGO) build --locked --release

# Builds a program that needs no library of the system, for the container image, in target/static.
STATIC_TARGET ?= $(shell uname -m)-unknown-linux-musl
STATIC_SUFFIX = $(subst -,_,$(STATIC_TARGET))
# Optimized for size. C needs no unwind tables, since no panic unwinds through it.
STATIC_CFLAGS = -Os -fno-asynchronous-unwind-tables

static:
	.ci/require static
	test -d "$$(rustc --print target-libdir --target $(STATIC_TARGET))" \
		|| rustup target add $(STATIC_TARGET)
	CC_$(STATIC_SUFFIX)=musl-gcc CFLAGS_$(STATIC_SUFFIX)="$(STATIC_CFLAGS)" \
		$(CARGO) rustc --locked --profile image --target $(STATIC_TARGET) --bin exporter-guard \
		-- -C link-arg=-Wl,-z,pack-relative-relocs,-z,noseparate-code,-O2
	install -D target/$(STATIC_TARGET)/image/exporter-guard target/static/exporter-guard

# Builds the container images with buildah, without a registry, and runs them (as root).
image-test: static
	.ci/require stress
	$(CARGO) test --locked --test integration image:: -- --ignored --nocapture
