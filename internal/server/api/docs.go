package api

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"html/template"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

//go:embed docs.html
var docsHTML string

//go:embed docs.css
var docsCSS string

// tell serves what tells about the API. Each document is made when it is asked for first: a server that is never asked starts the sooner.
func (a *API) tell(spec *huma.OpenAPI) {
	style := sha256.Sum256([]byte(docsCSS))
	policy := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(style[:]) + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	for path, d := range map[string]document{
		"/openapi.json": {"application/openapi+json", "default-src 'none'", func() ([]byte, error) { return json.MarshalIndent(spec, "", "  ") }},
		"/openapi.yaml": {"application/openapi+yaml", "default-src 'none'", spec.YAML},
		"/docs":         {"text/html; charset=utf-8", policy, func() ([]byte, error) { return render(spec) }},
	} {
		d.make = sync.OnceValues(d.make)
		a.mux.Handle("GET "+path, d)
	}
}

// document is one answer, always the same.
type document struct {
	contentType string
	policy      string
	make        func() ([]byte, error)
}

func (d document) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := d.make()
	if err != nil { // a mistake in this package
		write(w, problem(http.StatusInternalServerError, "", nil, "the document cannot be made: %v", err))
		return
	}
	w.Header().Set("Content-Type", d.contentType)
	w.Header().Set("Content-Security-Policy", d.policy)
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("Cache-Control", "no-cache") // keep it, but ask whether it is still the same
	sum := sha256.Sum256(body)
	w.Header().Set("ETag", `"`+base64.RawURLEncoding.EncodeToString(sum[:12])+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

// The page, as its template sees it.
type (
	docsPage struct {
		Title, Version, Description string
		Style                       template.CSS
		Sections                    []docsSection
	}
	docsSection struct {
		Name, Description string
		Operations        []docsOperation
	}
	docsOperation struct {
		*huma.Operation
		Parameters, Fields, Answer []docsField
		BodyNote                   string
		Bodies                     []docsExample
		Example                    string
		Errors                     []docsExample // code and meaning
	}
	docsField struct {
		Name, Kind, Doc string
		Required        bool
		Depth           int
	}
	docsExample struct{ Name, Text string }
)

// render makes the page from the document.
func render(spec *huma.OpenAPI) ([]byte, error) {
	page := docsPage{Title: spec.Info.Title, Version: spec.Info.Version, Description: spec.Info.Description, Style: template.CSS(docsCSS)}
	for _, tag := range spec.Tags {
		section := docsSection{Name: tag.Name, Description: tag.Description}
		for _, op := range all(spec) {
			if op.Tags[0] == tag.Name {
				section.Operations = append(section.Operations, docsOf(spec, op))
			}
		}
		page.Sections = append(page.Sections, section)
	}
	t, err := template.New("docs").Funcs(template.FuncMap{"lower": strings.ToLower}).Parse(docsHTML)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = t.Execute(&out, page)
	return out.Bytes(), err
}

func docsOf(spec *huma.OpenAPI, op *huma.Operation) docsOperation {
	d := docsOperation{Operation: op}
	for _, p := range op.Parameters {
		d.Parameters = append(d.Parameters, docsField{Name: p.Name, Kind: p.In + ", " + kind(spec, p.Schema), Doc: p.Description, Required: p.Required})
	}
	if body := op.RequestBody; body != nil {
		content := body.Content["application/json"]
		d.BodyNote, d.Fields = body.Description, docsFields(spec, content.Schema, 0)
		for name, example := range content.Examples {
			d.Bodies = append(d.Bodies, docsExample{name, indent(example.Value)})
		}
		slices.SortFunc(d.Bodies, func(a, b docsExample) int { return strings.Compare(a.Name, b.Name) })
	}
	for code, answer := range op.Responses {
		if code == "200" {
			content := answer.Content["application/json"]
			d.Answer, d.Example = docsFields(spec, content.Schema, 0), indent(content.Example)
		} else {
			d.Errors = append(d.Errors, docsExample{code, answer.Description})
		}
	}
	slices.SortFunc(d.Errors, func(a, b docsExample) int { return strings.Compare(a.Name, b.Name) })
	return d
}

// docsFields lists the members of an object, those of objects in it below it.
func docsFields(spec *huma.OpenAPI, s *huma.Schema, depth int) []docsField {
	s = follow(spec, s)
	var names []string
	for name := range s.Properties {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		needed, other := slices.Contains(s.Required, a), slices.Contains(s.Required, b)
		if needed != other { // those first that have to be there
			return map[bool]int{true: -1, false: 1}[needed]
		}
		return strings.Compare(a, b)
	})
	var fields []docsField
	for _, name := range names {
		p := s.Properties[name]
		fields = append(fields, docsField{name, kind(spec, p), p.Description, slices.Contains(s.Required, name), depth})
		if p = follow(spec, p); p.Items != nil {
			p = follow(spec, p.Items)
		}
		if p.Type == huma.TypeObject && p.Properties["detail"] == nil { // a problem is described once, at the top
			fields = append(fields, docsFields(spec, p, depth+1)...)
		}
	}
	return fields
}

func follow(spec *huma.OpenAPI, s *huma.Schema) *huma.Schema {
	if s.Ref != "" {
		return spec.Components.Schemas.SchemaFromRef(s.Ref)
	}
	return s
}

// kind is what a value is, for people.
func kind(spec *huma.OpenAPI, s *huma.Schema) string {
	s = follow(spec, s)
	switch {
	case s.Type == "":
		return "any JSON"
	case s.Type == huma.TypeArray:
		return "array of " + kind(spec, s.Items) + "s"
	case s.Properties["detail"] != nil:
		return "problem"
	case s.ContentEncoding != "":
		return s.ContentEncoding
	case s.Minimum != nil && s.Maximum != nil:
		return s.Type + " " + strconv.FormatFloat(*s.Minimum, 'f', -1, 64) + " to " + strconv.FormatFloat(*s.Maximum, 'f', -1, 64)
	}
	return s.Type
}

// indent writes an example on several lines, if it is a long one.
func indent(example any) string {
	raw, _ := example.(json.RawMessage)
	var b bytes.Buffer
	if len(raw) < 48 || json.Indent(&b, raw, "", "  ") != nil {
		return string(raw)
	}
	return b.String()
}
