// Package layers holds tests of who may use what: above all the table of who may
// import whom.
package layers

import (
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/godstream/godstream"

// layers says for each package what of ours it may import, and which libraries
// besides the standard one. Tests may import anything.
var layers = map[string]struct{ ours, libraries []string }{
	// contracts and what imports nothing of ours
	"source":                    {},
	"source/sourcetest":         {ours: []string{"source"}, libraries: []string{"go.uber.org/goleak"}},
	"sink":                      {},
	"sink/sinktest":             {ours: []string{"sink"}, libraries: []string{"go.uber.org/goleak"}},
	"checkpoint":                {ours: []string{"internal/crashpoint", "internal/disk"}},
	"checkpoint/checkpointtest": {ours: []string{"checkpoint", "internal/disk"}, libraries: []string{"pgregory.net/rapid"}},
	"codec":                     {},
	"codec/internal/jsoncases":  {},
	"window":                    {},
	"internal/hash":             {},
	"internal/rate":             {},
	"internal/cost":             {},
	"internal/bubble":           {},
	"batch":                     {ours: []string{"internal/hash"}, libraries: []string{"golang.org/x/exp/constraints"}},
	"internal/state":            {ours: []string{"batch", "internal/hash"}},
	"internal/shape":            {ours: []string{"codec"}},
	"internal/plan":             {},
	"internal/disk":             {},
	"internal/crashpoint":       {},
	"internal/realkafka":        {ours: []string{"internal/disk"}},
	// what needs a library
	"codec/fastjson":                  {ours: []string{"codec"}, libraries: []string{"github.com/goccy/go-json"}},
	"codec/registry":                  {},
	"codec/registry/registrytest":     {ours: []string{"codec/registry"}},
	"codec/avro":                      {ours: []string{"codec", "codec/registry"}, libraries: []string{"github.com/twmb/avro"}},
	"codec/protobuf":                  {ours: []string{"codec", "codec/registry"}, libraries: []string{"google.golang.org/protobuf"}},
	"codec/protobuf/internal/orderpb": {libraries: []string{"google.golang.org/protobuf"}},
	"kafka":                           {ours: []string{"sink", "source"}, libraries: []string{"github.com/IBM/sarama", "github.com/rcrowley/go-metrics"}},
	"kafka/embedded":                  {libraries: []string{"github.com/twmb/franz-go"}},
	// the engine sees no types, the façade sees everything
	"internal/engine":   {ours: []string{"internal/crashpoint", "internal/rate", "source", "window"}},
	"internal/recovery": {ours: []string{"checkpoint", "source"}},
	"stream":            {ours: []string{"batch", "checkpoint", "codec", "sink", "source", "window", "internal/engine", "internal/plan", "internal/rate", "internal/recovery", "internal/shape", "internal/state"}},
	"stream/streamtest": {ours: []string{"batch", "source", "stream"}},
	// programs
	"bench": {ours: []string{"batch", "checkpoint", "codec", "codec/fastjson", "kafka", "kafka/embedded", "source", "stream", "window", "internal/cost", "internal/disk"},
		libraries: []string{"github.com/IBM/sarama", "github.com/goccy/go-json"}},
	"cmd/godstream": {ours: []string{"checkpoint", "internal/recovery"}},
	"examples":      {ours: []string{"batch", "codec", "codec/fastjson", "examples", "checkpoint", "kafka", "kafka/embedded", "sink", "source", "stream", "window"}},
}

func TestImportsPointOneWay(t *testing.T) {
	root := filepath.Join("..", "..")
	seen := map[string]bool{}
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && d.Name() != ".." || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		dir, err := filepath.Rel(root, filepath.Dir(file))
		if err != nil {
			return err
		}
		pkg := layer(filepath.ToSlash(dir))
		may, known := layers[pkg]
		if !known {
			t.Errorf("package %s is not in the table: say what it may import", filepath.ToSlash(dir))
			return nil
		}
		seen[pkg] = true
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, i := range parsed.Imports {
			name, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			switch ours, isOurs := strings.CutPrefix(name, module+"/"); {
			case isOurs:
				if !slices.Contains(may.ours, layer(ours)) && ours != pkg {
					t.Errorf("%s imports %s; %s may import %v of ours", file, ours, pkg, may.ours)
				}
			case !strings.Contains(strings.SplitN(name, "/", 2)[0], "."): // standard library
			case !slices.ContainsFunc(may.libraries, func(l string) bool { return name == l || strings.HasPrefix(name, l+"/") }):
				t.Errorf("%s imports %s; %s may import the libraries %v", file, name, pkg, may.libraries)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, pkg := range slices.Sorted(maps.Keys(layers)) {
		if !seen[pkg] {
			t.Errorf("the table has %s, which does not exist", pkg)
		}
	}
}

// layer is the row of the table for a package: its own, or for programs that of
// their folder.
func layer(pkg string) string {
	if top, _, _ := strings.Cut(pkg, "/"); top == "examples" {
		return top
	}
	return path.Clean(pkg)
}

// A bubble of synctest under the race detector needs what package bubble does.
func TestBubblesComeFromOnePlace(t *testing.T) {
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(file, "_test.go") || filepath.Base(filepath.Dir(file)) == "layers" {
			return err
		}
		text, err := os.ReadFile(file)
		if strings.Contains(string(text), "synctest.Test(") {
			t.Errorf("%s calls synctest.Test; call bubble.Test of internal/bubble", file)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
