package archtest

// Rule is one property of the tree, with the reason it is worth a failing test.
type Rule struct {
	Name  string
	Why   string
	Check func(*Tree) []Finding
}

// Rules is everything that is checked on the source tree. The import arrows are spelled out in arrows.go.
var Rules = []Rule{
	{"parses", "a file that does not parse is a file no other rule has seen", checkParses},
	{"placed", "a folder without a place in the layout has no rule for what it may import", checkPlaced},
	{"arrows", "import direction is a test, not a habit: a leaf that knows its user cannot be tested or reused alone", checkArrows},
	{"outside", "a user pays for every dependency of a package he imports", checkOutside},
	{"owners", "a heavy dependency has one folder, so that everybody else can be built without it", checkOwners},

	{"file-lines", "a file is one noun, its name the table of contents", checkFileLines},
	{"function-lines", "a function is read on one screen", checkFunctionLines},
	{"struct-fields", "a struct with many fields is several things in one", checkStructFields},
	{"root-lines", "the package a user imports can be read in an afternoon", checkRootLines},
	{"root-files", "the package a user imports has a short table of contents", checkRootFiles},

	{"documented", "documentation lives where the caller decides", checkDocumented},
	{"options", "an option says its unit, its default and what follows from it", checkOptions},
	{"guarantees", "a numbered guarantee without a test is a promise nobody keeps", checkGuarantees},

	{"no-sleep", "a sleeping test is slow when it passes and flaky when it matters", checkNoSleep},
	{"leak-check", "a goroutine that outlives its test has no owner", checkLeakCheck},
	{"machine-paths", "a path of one machine is wrong on every other", checkMachinePaths},
	{"registry-hosts", "where packages come from is the user's setting, not the project's", checkRegistryHosts},
}

func checkParses(t *Tree) []Finding {
	var found []Finding
	for _, f := range t.Files {
		if f.Broken != nil {
			found = append(found, Finding{f.Path, 1, "does not parse: " + f.Broken.Error(), "mend the syntax"})
		}
	}
	return found
}
