# The two commands of the README. Everything else is `nodeos --help` and `cargo xtask --help`.

.PHONY: start test

# Boot NodeOS. ARGS are the arguments of `nodeos start`, for instance: make start ARGS="--memory 512M --port 8080:80"
start:
	@echo "Builds NodeOS and boots it in this terminal. The first time takes 20 to 40 minutes, most of it for the Linux"
	@echo "kernel; after that, seconds. Log in as nodeos, password nodeos; poweroff ends the machine, as Ctrl-A X does."
	@bin/install-dependencies
	cargo build --release
	@$${CARGO_TARGET_DIR:-target}/release/nodeos start $(ARGS)

# Run every check and every test. Two kernels are built when they are not in the cache yet.
test:
	@echo "Runs every check and every test. The first time takes 30 to 60 minutes on two processors, most of it for"
	@echo "two Linux kernels and the utilities; after that, less than half an hour."
	@bin/install-dependencies --test
	@cargo xtask test
