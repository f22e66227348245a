# Every target begins with the set-up of what it needs, which takes a moment when all is there already.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help images cluster cluster-down cluster-shell setup demo demo-status audit test e2e check bench chaos format clean

# With the environment that the set-up found. The command takes the place of the shell, so that Ctrl-C and signals reach it.
RUN := . .run/env && exec

help: ## Explain the targets and variables
	@echo 'Targets:'
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-21s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo 'Variables, as in "make demo TLS=1":'
	@awk -F ' +## ' '/^# [A-Z_]+=?.* ## / { sub(/^# /, "", $$1); printf "  %-21s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install what all the targets need: once, outside the tree but for node_modules
	@scripts/setup.sh

demo: ## Run the whole platform on this machine until Ctrl-C
	@scripts/setup.sh node dependencies worker postgres
	@$(RUN) node demo/main.ts

demo-status: ## List the running demo's processes, roles and metrics addresses as JSON
	@scripts/setup.sh node dependencies
	@$(RUN) node demo/status.ts

audit: ## Compare the running demo's resources, tables and media nodes; OUTPUT=json for a program
	@scripts/setup.sh node dependencies
	@$(RUN) node operator/main.ts audit --config $${DEMO_DIR:-.run/demo}/config/operator.json --output $${OUTPUT:-table}

test: ## Run all the tests that need no cluster, real browsers included
	@scripts/setup.sh
	@$(RUN) node scripts/test/main.ts

e2e: ## Run the tests on a cluster: the one that is there, else one that is made for them, or KUBECONFIG's
	@scripts/setup.sh node dependencies chromium
	@$(RUN) node scripts/test/cluster.ts $(ARGS)

check: ## Check types, lint, formatting, unused code and generated files
	@scripts/setup.sh node dependencies
	@$(RUN) npm run --silent check

bench: ## Measure joins, statements a join, what forwarding costs, and how many rooms the operator places
	@scripts/setup.sh node dependencies worker postgres kubernetes
	@$(RUN) node bench/main.ts

chaos: ## Kill, stop and cut off parts of the platform under live rooms, and tell what the pages in them saw
	@scripts/setup.sh node dependencies worker postgres chromium kubernetes
	@$(RUN) node chaos/main.ts

images: ## Build the images of the services into .run/images: by docker or podman, else by buildah
	@scripts/setup.sh node dependencies worker postgres
	@$(RUN) scripts/images/build.sh

format: ## Format the files
	@scripts/setup.sh node dependencies
	@$(RUN) npm run --silent format

cluster: ## Start a Kubernetes cluster on this machine and install kube-sfu: by kind where Docker runs, else from Go modules
	@scripts/setup.sh node dependencies helm cluster
	@[ -n "$$KUBECONFIG" ] || $(MAKE) --no-print-directory images
	@$(RUN) scripts/cluster/up.sh

cluster-shell: ## Open a shell that reaches the cluster
	@$(RUN) scripts/cluster/run.sh "$${SHELL:-bash}"

cluster-down: ## Take the cluster down; nothing of it stays but the cache
	@scripts/cluster/down.sh

clean: ## Remove what was made inside the tree, and the cluster; the cache outside stays
	@scripts/cluster/down.sh
	rm -rf .run coverage web/dist node_modules

# The variables that "make help" shows:
#
# TLS=1                 ## Demo: HTTPS and WSS, with a self-signed certificate
# DEMO_PAGE_PORT        ## Demo: port of the page (8080)
# DEMO_SIGNALING_PORT   ## Demo: port of the first signaling replica, the others follow (4443)
# DEMO_RTC_PORT         ## Demo: first of the ports for media (20000)
# DEMO_DIR              ## Demo: folder of its resources, configuration and logs (.run/demo)
# DEMO_CONSUMERS        ## Demo: number of consumer nodes (2)
# DEMO_REPLICAS         ## Demo: number of signaling replicas (1)
# LOG_LEVEL             ## Demo: least severity in the services' logs (info)
# DATABASE_URL          ## A Postgres server to use, by a role that may create databases (default: an embedded one)
# MEDIASOUP_WORKER_BIN  ## A mediasoup worker to use (default: downloaded, else built)
# KUBEBUILDER_ASSETS    ## A folder with etcd, kube-apiserver and kubectl to test with (default: downloaded, else built)
# HELM_BIN              ## A Helm 4 for the tests (default: found, else built)
# CHROMIUM_BIN          ## A Chromium for the tests (default: found, else installed)
# OUTPUT=json          ## Audit: for a program (table)
# INSTALL=0             ## Cluster: without the chart
# KUBECONFIG            ## Tests on a cluster: the cluster to use (default: that of make cluster, which is made where there is none)
# E2E_VALUES            ## Tests on a cluster: a file with more values for the chart, such as image.registry
# ARGS                  ## Tests on a cluster: which files, as in ARGS=faults (all)
# KEEP=1                ## Tests on a cluster: leave the cluster up that was made for them
# SEED                  ## Chaos: of every choice (1)
# ROUNDS                ## Chaos: how many rounds of one fault or a pair (20)
# COUNT                 ## Chaos: in place of rounds, each fault so often and alone
# FAULTS                ## Chaos: which faults, as in FAULTS=drain,consumer-kill (all)
# CLIENTS=rejoin        ## Chaos: pages that announce no extensions and only rejoin
# ROOMS                 ## Chaos: how many live rooms, all but one of them without pages (1)
# CONTROL               ## Chaos: seconds without faults first (30)
# KUBE_SFU_CACHE        ## Where downloads and builds are kept (~/.cache/kube-sfu)
