package main

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

//go:embed completion/roomcast.bash
var bashScript string

//go:embed completion/roomcast.zsh
var zshScript string

//go:embed completion/roomcast.fish
var fishScript string

type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"${enum}."`
}

// Help is what the flags cannot say.
func (*completionCmd) Help() string {
	return `The script asks the program itself, so it stays right when the program changes.

  bash   roomcast completion bash >~/.local/share/bash-completion/completions/roomcast
  zsh    roomcast completion zsh >"${fpath[1]}/_roomcast"
  fish   roomcast completion fish >~/.config/fish/completions/roomcast.fish`
}

// Run prints the script.
func (c *completionCmd) Run() error {
	_, err := fmt.Print(map[string]string{"bash": bashScript, "zsh": zshScript, "fish": fishScript}[c.Shell])
	return err
}

type completeCmd struct {
	Words []string `arg:"" optional:"" help:"What has been typed behind the name of the program, the word to be completed last."`
}

// Run prints what the last word can become, each with what it means behind a tab. Nothing means a file, or that nobody knows.
func (c *completeCmd) Run() error {
	for _, found := range complete(newParser(&commands{}).Model.Node, c.Words) {
		if _, err := fmt.Printf("%s\t%s\n", found.word, found.meaning); err != nil {
			return err
		}
	}
	return nil
}

type candidate struct{ word, meaning string }

// complete returns what the last of the words can become below a node of the command line.
func complete(node *kong.Node, words []string) []candidate {
	if len(words) == 0 {
		words = []string{""}
	}
	before, current := words[:len(words)-1], words[len(words)-1]
	for len(before) > 0 && before[0] == "help" && node.Type == kong.ApplicationNode {
		before = before[1:]
	}
	for _, child := range node.Children {
		if len(before) > 0 && before[0] == child.Name {
			return completeCommand(child, before[1:], current)
		}
	}
	if len(before) > 0 {
		return nil
	}
	var found []candidate
	for _, child := range node.Children {
		if !child.Hidden {
			found = append(found, candidate{child.Name, child.Help})
		}
	}
	found = append(found, candidate{"help", "Show the help of a command."})
	return matching(found, current)
}

// completeCommand completes a flag, the value of one, or an argument.
func completeCommand(command *kong.Node, before []string, current string) []candidate {
	if current == "=" { // bash makes three words of --flag=value
		before, current = append(slices.Clone(before), "="), ""
	}
	last := func() string {
		if len(before) == 0 {
			return ""
		}
		return before[len(before)-1]
	}
	if last() == "=" {
		before = before[:len(before)-1]
	}
	if flag := flagOf(command, last()); flag != nil && !flag.IsBool() {
		return matching(values(flag.Value), current)
	}
	if name, value, ok := strings.Cut(current, "="); ok {
		var found []candidate
		if flag := flagOf(command, name); flag != nil {
			for _, v := range matching(values(flag.Value), value) {
				found = append(found, candidate{name + "=" + v.word, v.meaning})
			}
		}
		return found
	}
	var found []candidate
	if strings.HasPrefix(current, "-") {
		for _, flag := range command.Flags {
			if !flag.Hidden {
				found = append(found, candidate{"--" + flag.Name, firstSentence(flag.Help)})
			}
		}
		return matching(append(found, candidate{"--help", "Show the help."}), current)
	}
	for _, argument := range command.Positional {
		found = append(found, values(argument)...)
	}
	return matching(found, current)
}

// flagOf is the flag that a word gives, nil if it is none.
func flagOf(command *kong.Node, word string) *kong.Flag {
	for _, flag := range command.Flags {
		if word == "--"+flag.Name || flag.Short != 0 && word == "-"+string(flag.Short) {
			return flag
		}
	}
	return nil
}

// values are those of an enum.
func values(v *kong.Value) []candidate {
	var found []candidate
	if v.Enum != "" {
		for _, word := range v.EnumSlice() {
			found = append(found, candidate{word, ""})
		}
	}
	return found
}

func matching(all []candidate, prefix string) []candidate {
	return slices.DeleteFunc(all, func(c candidate) bool { return !strings.HasPrefix(c.word, prefix) })
}

// firstSentence is as much of a flag's help as fits beside it.
func firstSentence(help string) string {
	for _, end := range []string{"; ", ": ", ". ", " (default"} {
		help, _, _ = strings.Cut(help, end)
	}
	return help
}
