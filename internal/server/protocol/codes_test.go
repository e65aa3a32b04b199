package protocol

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"testing"
)

// constants are the values of the typed constants in codes.go.
func constants(t *testing.T, typ string) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "codes.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	ast.Inspect(file, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if name, ok := spec.Type.(*ast.Ident); ok && name.Name == typ {
			values = append(values, spec.Values[0].(*ast.BasicLit).Value)
		}
		return true
	})
	return values
}

// TestTablesAreComplete holds that every constant is in its table, once and in the same order.
func TestTablesAreComplete(t *testing.T) {
	errors, closes := constants(t, "ErrorCode"), constants(t, "CloseCode")
	if len(errors) != len(ErrorCodes) || len(closes) != len(CloseCodes) {
		t.Fatalf("%d and %d constants, %d and %d rows", len(errors), len(closes), len(ErrorCodes), len(CloseCodes))
	}
	for i, info := range ErrorCodes {
		if got := strconv.Quote(string(info.Code)); got != errors[i] || info.Meaning == "" || info.Remedy == "" {
			t.Errorf("row %d is %+v, want one of %s", i, info, errors[i])
		}
	}
	for i, info := range CloseCodes {
		if got := strconv.Itoa(int(info.Code)); got != closes[i] || info.Name == "" || info.Why == "" {
			t.Errorf("row %d is %+v, want one of %s", i, info, closes[i])
		}
	}
}

// TestRetry holds that a code in the table does what its range says, and what a client does about one that is not.
func TestRetry(t *testing.T) {
	for _, info := range CloseCodes {
		if info.Code.Retry() != info.Retry {
			t.Errorf("%d: %s, the table says %s", info.Code, info.Code.Retry(), info.Retry)
		}
		if next := info.Code + 50; info.Code >= 3000 && next.Retry() != info.Retry {
			t.Errorf("%d is in a range of %s, the table says %s", info.Code, next.Retry(), info.Retry)
		}
	}
	for code, want := range map[CloseCode]Retry{
		0: RetryLater, 1005: RetryLater, 1006: RetryLater, 1012: RetryLater, 3099: RetryNever, 3199: RetryLater, 3299: RetryNow,
		3300: RetryLater, 4000: RetryLater,
	} {
		if got := code.Retry(); got != want {
			t.Errorf("%d: %s, want %s", code, got, want)
		}
	}
}
