package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

const (
	apiTimeout = 30 * time.Second
	maxAnswer  = 64 << 20
)

// api is how the HTTP API is reached. Everything that these commands know of the API's JSON stands in this file.
type api struct {
	API    string `default:"http://127.0.0.1:8080" name:"api" placeholder:"URL" env:"ROOMCAST_API" help:"Where the HTTP API is, without /v1 (default: ${default})."`
	APIKey string `name:"api-key" placeholder:"KEY" secret:"true" env:"ROOMCAST_API_KEY" help:"Key of the API. The variable keeps it out of the list of processes."`
}

// Validate reports an address that is none.
func (a *api) Validate() error {
	u, err := url.Parse(a.API)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("--api %s: write it as http://127.0.0.1:8080 or https://host", a.API)
	}
	if base, ok := strings.CutSuffix(strings.TrimRight(a.API, "/"), "/v1"); ok {
		return fmt.Errorf("--api %s: leave out /v1: write it as %s", a.API, base)
	}
	return nil
}

// publication is the body of a message to be sent.
type publication struct {
	Data   json.RawMessage `json:"data,omitempty"`
	Base64 *[]byte         `json:"base64,omitempty"`
	User   string          `json:"user,omitempty"`
	Key    string          `json:"key,omitempty"`
}

// receipt is the answer.
type receipt struct {
	Delivered int    `json:"delivered"`
	Failed    int    `json:"failed"`
	Offset    uint64 `json:"offset"` // in a room that keeps a history, which counts nobody; 0 otherwise
	Replayed  bool   `json:"replayed"`
}

// roomItem is a room in a list.
type roomItem struct {
	Name    string `json:"name"`
	Room    string `json:"room"`
	Members int    `json:"members"`
}

func (r roomItem) title() string { return cmp.Or(r.Name, r.Room) }

// memberItem is a connection in a list.
type memberItem struct {
	Connection string `json:"connection"`
	Session    string `json:"session"`
	User       string `json:"user"`
	Address    string `json:"address"`
}

// page is one page of a list.
type page struct {
	Rooms   []json.RawMessage `json:"rooms"`
	Members []json.RawMessage `json:"members"`
	Next    string            `json:"next"`
}

// problem is an error of the API (RFC 9457).
type problem struct {
	Title  string `json:"title"`
	Detail string `json:"detail"`
	Errors []struct {
		Message  string `json:"message"`
		Location string `json:"location"`
	} `json:"errors"`
}

func (p problem) line(status int) string {
	parts := []string{fmt.Sprintf("%d %s", status, cmp.Or(p.Title, http.StatusText(status)))}
	if p.Detail != "" {
		parts = append(parts, p.Detail)
	}
	for _, e := range p.Errors {
		if strings.Contains(p.Detail, e.Message) {
			continue
		}
		parts = append(parts, strings.TrimPrefix(e.Location+": "+e.Message, ": "))
	}
	return printable(strings.Join(parts, ": "))
}

// call asks the API and returns the JSON of its answer. path is escaped already.
func (a *api) call(ctx context.Context, method, path string, header http.Header, body any) ([]byte, error) {
	defer waiting(os.Stderr, "waiting for "+a.API)()
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	var content io.Reader
	if body != nil {
		content = bytes.NewReader(compact(body))
	}
	request, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(a.API, "/")+path, content)
	if err != nil {
		return nil, err
	}
	for name, values := range header {
		request.Header[name] = values
	}
	request.Header.Set("Accept", "application/json, application/problem+json")
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if a.APIKey != "" {
		request.Header.Set("Authorization", "Bearer "+a.APIKey)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, a.unreachable(err)
	}
	defer answer.Body.Close()
	read, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return nil, a.unreachable(err)
	}
	if answer.StatusCode >= 300 {
		var p problem
		_ = json.Unmarshal(read, &p) // if it is none, the status says it
		remedy := ""
		if answer.StatusCode == http.StatusUnauthorized {
			remedy = "; give the key of the API with --api-key or ROOMCAST_API_KEY"
		}
		return nil, errors.New(p.line(answer.StatusCode) + remedy)
	}
	return read, nil
}

// decode reads an answer.
func (a *api) decode(answer []byte, into any) error {
	if err := json.Unmarshal(answer, into); err != nil {
		return fmt.Errorf("what is at %s is not the HTTP API of roomcast (%w); give its address with --api", a.API, err)
	}
	return nil
}

// unreachable says what to do when nobody has answered.
func (a *api) unreachable(err error) error {
	var op *net.OpError
	var asked *url.Error
	if errors.As(err, &op) {
		err = op
	} else if errors.As(err, &asked) {
		err = asked.Err // without the address, which we name ourselves
	}
	return fmt.Errorf("cannot reach %s: %w; start roomcast serve there, or give another address with --api", a.API, err)
}

// publish sends a message to what path names.
func (a *api) publish(ctx context.Context, path, idempotencyKey string, message publication) ([]byte, error) {
	header := http.Header{}
	if idempotencyKey != "" {
		header.Set("Idempotency-Key", idempotencyKey)
	}
	return a.call(ctx, http.MethodPost, path, header, message)
}

// pages asks for one page of a list after the other.
func (a *api) pages(ctx context.Context, path string, query url.Values, each func(page) error) error {
	query.Set("limit", "1000")
	for {
		answer, err := a.call(ctx, http.MethodGet, path+"?"+query.Encode(), nil, nil)
		if err != nil {
			return err
		}
		var p page
		if err := a.decode(answer, &p); err != nil {
			return err
		}
		if err := each(p); err != nil {
			return err
		}
		if p.Next == "" {
			return nil
		}
		query.Set("after", p.Next)
	}
}
