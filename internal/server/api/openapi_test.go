package api

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestGolden holds that the API is described as before: a change of it is a change of testdata/openapi.json.
func TestGolden(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		status, got := w.do("GET", "/openapi.json", "")
		if status != 200 {
			t.Fatalf("%d %s", status, got)
		}
		got += "\n"
		const file = "testdata/openapi.json"
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal([]byte(got), want) {
			t.Errorf("%s is another description; look at what has changed with: go test ./internal/server/api -update && git diff", file)
		}
	})
}

// description is what the tests look at of the document.
type description struct {
	OpenAPI string
	Paths   map[string]map[string]struct {
		OperationID, Summary, Description string
		Security                          []map[string][]string
		Parameters                        []struct{ Name, In, Description string }
		RequestBody                       *struct {
			Content map[string]struct {
				Schema   any
				Examples map[string]struct{ Value json.RawMessage }
			}
		}
		Responses map[string]struct {
			Description string
			Content     map[string]struct{ Schema, Example any }
		}
	}
}

func (w *world) describe() description {
	w.t.Helper()
	var d description
	_, body := w.do("GET", "/openapi.json", "")
	if err := json.Unmarshal([]byte(body), &d); err != nil {
		w.t.Fatal(err)
	}
	return d
}

// TestDescribed holds that nothing is left undescribed, and that every example is one.
func TestDescribed(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		ann := w.dial("ann", "kitchen")
		d := w.describe()
		if d.OpenAPI != "3.1.0" || len(d.Paths) != 13 {
			t.Errorf("OpenAPI %s with %d paths, want 3.1.0 with 13", d.OpenAPI, len(d.Paths))
		}
		for path, operations := range d.Paths {
			for method, op := range operations {
				name := strings.ToUpper(method) + " " + path
				if op.OperationID == "" || op.Summary == "" || op.Description == "" || len(op.Security) != 3 {
					t.Errorf("%s lacks a summary, a description or its security: %+v", name, op)
				}
				for _, p := range op.Parameters {
					if p.Description == "" {
						t.Errorf("%s: the parameter %s is not described", name, p.Name)
					}
				}
				answer := op.Responses["200"].Content["application/json"]
				if answer.Schema == nil || answer.Example == nil {
					t.Errorf("%s: the answer has no schema or example", name)
				}
				for _, code := range []string{"401", "403", "422", "500"} {
					if r := op.Responses[code]; r.Content["application/problem+json"].Schema == nil || !strings.HasSuffix(r.Description, ".") {
						t.Errorf("%s: the error %s is not described", name, code)
					}
				}
				if (method == "post") != (op.RequestBody != nil) {
					t.Errorf("%s: body %v", name, op.RequestBody)
				}
				if op.RequestBody == nil {
					continue
				}
				content := op.RequestBody.Content["application/json"]
				if content.Schema == nil || len(content.Examples) == 0 {
					t.Errorf("%s: the body has no schema or example", name)
				}
				for title, example := range content.Examples {
					ask := strings.NewReplacer("{room}", "kitchen", "{user}", "ann", "{connection}", ann.id).Replace(path)
					if status, body := w.do(post, ask, string(example.Value)); status != 200 {
						t.Errorf("%s: the example %q is answered with %d %s", name, title, status, body)
					}
				}
			}
		}
	})
}

// TestDocs holds that the page needs nothing but itself, may have nothing else, and tells of every operation.
func TestDocs(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		res := w.serve(request("GET", "/docs", ""))
		policy := res.Header.Get("Content-Security-Policy")
		etag := res.Header.Get("ETag")
		status, page := read(t, res)
		if status != 200 || !strings.HasPrefix(policy, "default-src 'none'; style-src 'sha256-") || strings.Contains(policy, "unsafe") {
			t.Errorf("%d, policy %s", status, policy)
		}
		if found := regexp.MustCompile(`(?i)<script|<link|<img|<iframe|@import|url\(|https?://`).FindString(page); found != "" {
			t.Errorf("the page has %q in it: it has to do without", found)
		}
		for path, operations := range w.describe().Paths {
			for _, op := range operations {
				if !strings.Contains(page, `<article id="`+op.OperationID+`">`) || !strings.Contains(page, "<code>"+path+"</code>") {
					t.Errorf("%s is not on the page", op.OperationID)
				}
			}
		}
		again := request("GET", "/docs", "")
		again.Header.Set("If-None-Match", etag)
		if status, body := read(t, w.serve(again)); status != 304 || body != "" || etag == "" {
			t.Errorf("asked again with ETag %s: %d, %d bytes", etag, status, len(body))
		}
		w.refused(request(post, "/docs", "{}"), 405, "GET, HEAD")
		if status, yaml := w.do("GET", "/openapi.yaml", ""); status != 200 || !strings.Contains(yaml, "openapi: 3.1.0") {
			t.Errorf("YAML: %d %.100s", status, yaml)
		}
	})
}
