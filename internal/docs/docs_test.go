// Package docs holds one test: the Go code in the documentation is compiled.
package docs

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const root = "../.."

// block is a fenced piece of a document.
type block struct {
	language string
	text     string
	line     int
}

func blocks(t *testing.T, file string) (all []block) {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	var in *block
	for i, line := range strings.Split(string(text), "\n") {
		switch fence, isFence := strings.CutPrefix(line, "```"); {
		case isFence && in == nil:
			in = &block{language: fence, line: i + 2}
		case isFence:
			all = append(all, *in)
			in = nil
		case in != nil:
			in.text += line + "\n"
		}
	}
	require.Nil(t, in, "%s: a block is not closed", file)
	return all
}

func documents(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	require.NoError(t, err)
	return append(files, filepath.Join(root, "README.md"), filepath.Join(root, "CONTRIBUTING.md"))
}

// Every Go block is a program that compiles, or stands in code that does.
func TestGoBlocksCompile(t *testing.T) {
	code := goCode(t)
	for _, file := range documents(t) {
		for _, b := range blocks(t, file) {
			if b.language != "go" {
				continue
			}
			if strings.Contains(b.text, "package main\n") {
				run(t, b.text, "vet")
				continue
			}
			require.Contains(t, code, squeeze(b.text), "%s:%d: this code stands in no Go file of the module", file, b.line)
		}
	}
}

// Names of packages of ours that the documents mention exist.
func TestNamesExist(t *testing.T) {
	exported := map[string]map[string]bool{}
	mention := regexp.MustCompile("`[^`]*`")
	name := regexp.MustCompile(`\b([a-z]+)\.([A-Z]\w*)`)
	for _, file := range documents(t) {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, code := range mention.FindAllString(string(text), -1) {
			for _, m := range name.FindAllStringSubmatch(code, -1) {
				if exported[m[1]] == nil {
					exported[m[1]] = names(t, m[1])
				}
				if len(exported[m[1]]) > 0 && !exported[m[1]][m[2]] {
					t.Errorf("%s mentions %s, which does not exist", file, m[0])
				}
			}
		}
	}
	require.Contains(t, exported["stream"], "Map")
}

// Everything that is exported says what it is.
func TestEverythingExportedHasAComment(t *testing.T) {
	err := filepath.WalkDir(root, func(dir string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		if name := d.Name(); strings.HasPrefix(name, ".") && name != ".." || name == "testdata" || name == "examples" {
			return filepath.SkipDir
		}
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		require.NoError(t, err)
		set := token.NewFileSet()
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			parsed, err := parser.ParseFile(set, file, nil, parser.ParseComments)
			require.NoError(t, err)
			if ast.IsGenerated(parsed) {
				continue
			}
			for _, d := range parsed.Decls {
				for _, what := range uncommented(d) {
					t.Errorf("%v: %s has no comment", set.Position(d.Pos()), what)
				}
			}
		}
		return nil
	})
	require.NoError(t, err)
}

// uncommented is what a declaration exports without a comment: functions,
// types, variables, and the methods of exported types, but for those that
// every Go programmer knows.
func uncommented(d ast.Decl) (names []string) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if name := d.Name.Name; d.Recv != nil && slices.Contains([]string{"Error", "Unwrap", "String", "MarshalJSON", "UnmarshalJSON"}, name) {
			return nil
		}
		if d.Name.IsExported() && d.Doc == nil && (d.Recv == nil || receiverIsExported(d.Recv.List[0].Type)) {
			names = append(names, d.Name.Name)
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				if spec.Name.IsExported() && d.Doc == nil && spec.Doc == nil {
					names = append(names, spec.Name.Name)
				}
			case *ast.ValueSpec:
				if spec.Names[0].IsExported() && d.Doc == nil && spec.Doc == nil && spec.Comment == nil {
					names = append(names, spec.Names[0].Name)
				}
			}
		}
	}
	return names
}

func receiverIsExported(t ast.Expr) bool {
	for {
		switch e := t.(type) {
		case *ast.StarExpr:
			t = e.X
		case *ast.IndexExpr:
			t = e.X
		case *ast.IndexListExpr:
			t = e.X
		case *ast.Ident:
			return e.IsExported()
		default:
			return false
		}
	}
}

// names is what a package of ours exports; nothing if it is not ours.
func names(t *testing.T, pkg string) map[string]bool {
	found := map[string]bool{}
	for _, dir := range []string{pkg, "*/" + pkg, "*/*/" + pkg} {
		files, err := filepath.Glob(filepath.Join(root, dir, "*.go"))
		require.NoError(t, err)
		for _, file := range files {
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
			require.NoError(t, err)
			for _, d := range parsed.Decls {
				switch d := d.(type) {
				case *ast.FuncDecl:
					found[d.Name.Name] = true
				case *ast.GenDecl:
					for _, spec := range d.Specs {
						switch spec := spec.(type) {
						case *ast.TypeSpec:
							found[spec.Name.Name] = true
						case *ast.ValueSpec:
							for _, name := range spec.Names {
								found[name.Name] = true
							}
						}
					}
				}
			}
		}
	}
	return found
}

// What the README says that is printed, is: by the program before it, or by an
// example, whose test compares it with the file.
func TestReadmeOutput(t *testing.T) {
	var recorded, program string
	files, err := filepath.Glob(filepath.Join(root, "examples", "*", "testdata", "*.txt"))
	require.NoError(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		recorded += string(text)
	}
	programs := 0
	for _, b := range blocks(t, filepath.Join(root, "README.md")) {
		switch {
		case b.language == "go" && strings.Contains(b.text, "package main\n"):
			program = b.text
		case b.language == "text" && program != "":
			require.Equal(t, b.text, run(t, program, "run"))
			program = ""
			programs++
		case b.language == "text":
			require.Contains(t, recorded, b.text, "README.md:%d", b.line)
		}
	}
	require.Positive(t, programs)
	require.Empty(t, program, "what it prints is missing")
}

// The README's set-up is two commands, which CI runs.
func TestReadmeCommands(t *testing.T) {
	for _, b := range blocks(t, filepath.Join(root, "README.md")) {
		if b.language == "sh" {
			commands := strings.Split(strings.TrimSpace(b.text), "\n")
			require.Len(t, commands, 2)
			ci, err := os.ReadFile(filepath.Join(root, ".ci", "run"))
			require.NoError(t, err)
			for _, c := range commands {
				require.Contains(t, string(ci), c)
			}
			return
		}
	}
	t.Fatal("the README has no commands")
}

// run runs the go command on a program inside this module.
func run(t *testing.T, program, verb string) string {
	t.Helper()
	dir, err := os.MkdirTemp(root, ".docs-")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	file := filepath.Join(dir, "main.go")
	require.NoError(t, os.WriteFile(file, []byte(program), 0o600))
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "go", verb, "main.go")
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &errs
	require.NoError(t, cmd.Run(), "%s", &errs)
	return out.String()
}

// goCode is all Go code of the module, without what differs in indentation.
func goCode(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		text, err := os.ReadFile(path)
		all.WriteString(squeeze(string(text)))
		return err
	})
	require.NoError(t, err)
	return all.String()
}

// squeeze leaves each line without the white space around it.
func squeeze(code string) string {
	var out strings.Builder
	for line := range strings.Lines(code) {
		if line = strings.TrimSpace(line); line != "" {
			out.WriteString(line + "\n")
		}
	}
	return out.String()
}
