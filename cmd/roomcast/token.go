package main

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/internal/server/auth"
)

type tokenCmd struct {
	config.Token
}

// Help is what the flags cannot say.
func (*tokenCmd) Help() string {
	return `The token is for trying things out: in earnest, the program that knows the users makes them. docs/auth.md says what is in one.

A shared secret; a key pair, of which the server gets the public half; and a token that may do everything everywhere:

  export ROOMCAST_TOKEN_SECRET=$(openssl rand -base64 32)
  roomcast token --user ann --room 'chat/*=join,send'

  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out private.pem
  openssl pkey -in private.pem -pubout -out public.pem
  roomcast token --user ann --room 'chat/*=join,send' --key-file private.pem

  roomcast token --user admin --room '**=join,send,presence,publish-as' --direct`
}

// Run prints a token.
func (c *tokenCmd) Run() error {
	expires := time.Now().Add(c.Expires).UTC().Truncate(time.Second)
	token, err := auth.Mint(auth.MintConfig{
		User: c.User, Rooms: c.Rooms(), Direct: c.Direct, Expires: expires, Issuer: c.Issuer, Audience: c.Audience,
		Secret: c.Secret, KeyFile: c.KeyFile, KeyID: c.KeyID,
	})
	if err != nil {
		return exitError{exitUsage, err}
	}
	if !c.JSON {
		_, err = fmt.Println(token)
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(struct {
		Token   string    `json:"token"`
		User    string    `json:"user"`
		Expires time.Time `json:"expires"`
	}{token, c.User, expires})
}
