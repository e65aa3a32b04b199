package auth

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestCredentials(t *testing.T) {
	for name, c := range map[string]struct {
		target        string
		header        http.Header
		token, apiKey string
	}{
		"nothing":       {"/ws", nil, "", ""},
		"bearer":        {"/ws", http.Header{"Authorization": {"Bearer abc"}}, "abc", "abc"},
		"lower case":    {"/ws", http.Header{"Authorization": {"bearer abc"}}, "abc", "abc"},
		"upper case":    {"/ws", http.Header{"Authorization": {"BEARER  abc "}}, "abc", "abc"},
		"query":         {"/ws?token=abc", nil, "abc", ""},
		"header first":  {"/ws?token=query", http.Header{"Authorization": {"Bearer abc"}}, "abc", "abc"},
		"other scheme":  {"/ws?token=query", http.Header{"Authorization": {"Basic abc"}}, "query", ""},
		"no token":      {"/ws?token=", http.Header{"Authorization": {"Bearer "}}, "", ""},
		"no space":      {"/ws", http.Header{"Authorization": {"Bearerabc"}}, "", ""},
		"own header":    {"/v1?token=query", http.Header{"X-Api-Key": {" abc "}}, "query", "abc"},
		"never queried": {"/v1?key=abc&api_key=abc&x-api-key=abc", nil, "", ""},
		"broken query":  {"/ws?token=%zz", nil, "", ""},
		"bearer first":  {"/v1", http.Header{"X-Api-Key": {"own"}, "Authorization": {"Bearer abc"}}, "abc", "abc"},
	} {
		r := httptest.NewRequest(http.MethodGet, c.target, nil)
		if c.header != nil {
			r.Header = c.header
		}
		if got, found := TokenOf(r); got != c.token || found != (c.token != "") {
			t.Errorf("%s: token %q, %v; want %q", name, got, found, c.token)
		}
		if got, found := KeyOf(r); got != c.apiKey || found != (c.apiKey != "") {
			t.Errorf("%s: key %q, %v; want %q", name, got, found, c.apiKey)
		}
	}
}
