// Package house holds the shape of the house: which file may use which.
package house

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A pkg is what the go command tells of a package.
type pkg struct {
	ImportPath, Dir, Export string
	GoFiles                 []string
	DepOnly                 bool
}

// layered are the packages that are looked at.
var layered = []string{"./sizer", "./tracker", "./state", "./watcher"}

// packages gives what the go command tells of some packages, and where the compiler has put
// what it knows of each that they import.
func packages(t *testing.T, names ...string) (own []pkg, exports map[string]string) {
	t.Helper()
	args := []string{"list", "-deps", "-export", "-json=ImportPath,Dir,Export,GoFiles,DepOnly"}
	cmd := exec.Command("go", append(args, names...)...)
	cmd.Dir = filepath.Join("..", "..")
	cmd.Stderr = os.Stderr
	text, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	exports = make(map[string]string)
	for dec := json.NewDecoder(strings.NewReader(string(text))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return own, exports
		} else if err != nil {
			t.Fatal(err)
		}
		exports[p.ImportPath] = p.Export
		if !p.DepOnly {
			own = append(own, p)
		}
	}
}

// arrows run between the files of a package: from one that names something to that
// which defines it, with an example of what. What is called through a field that holds a
// function (sizer's layout) isn't among them.
type arrows map[string]map[string]string

func parse(t *testing.T, p pkg, exports map[string]string) (*token.FileSet, []*ast.File, *types.Info, *types.Package) {
	t.Helper()
	fset := token.NewFileSet()
	var files []*ast.File
	for _, name := range p.GoFiles {
		f, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	lookup := func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) }
	conf := types.Config{Importer: importer.ForCompiler(fset, "gc", lookup)}
	info := &types.Info{Uses: make(map[*ast.Ident]types.Object)}
	checked, err := conf.Check(p.ImportPath, fset, files, info)
	if err != nil {
		t.Fatal(err)
	}
	return fset, files, info, checked
}

func arrowsOf(fset *token.FileSet, info *types.Info, own *types.Package) arrows {
	found := make(arrows)
	at := func(pos token.Pos) string { return filepath.Base(fset.Position(pos).Filename) }
	for id, object := range info.Uses {
		local := object.Parent() != nil && object.Parent() != own.Scope() // a parameter, say
		if object.Pkg() != own || local {
			continue
		}
		from, to := at(id.Pos()), at(object.Pos())
		if from == to {
			continue
		}
		if found[from] == nil {
			found[from] = make(map[string]string)
		}
		found[from][to] = object.Name()
	}
	return found
}

// circle finds files that use each other.
func (a arrows) circle() []string {
	done := make(map[string]bool)
	var path []string
	var visit func(file string) []string
	visit = func(file string) []string {
		if i := slices.Index(path, file); i >= 0 {
			return append(slices.Clone(path[i:]), file)
		}
		if done[file] {
			return nil
		}
		path = append(path, file)
		for to := range a[file] {
			if found := visit(to); found != nil {
				return found
			}
		}
		path, done[file] = path[:len(path)-1], true
		return nil
	}
	for file := range a {
		if found := visit(file); found != nil {
			return found
		}
	}
	return nil
}

var heading = regexp.MustCompile(`^([A-Z][A-Za-z ]*):(?:\s|$)`)

// layersOf reads the layers of a package from its description: each begins as "The look: ..."
// does, and has indented lines that begin with names of files.
func layersOf(t *testing.T, files []*ast.File) (names []string, of map[string]int) {
	t.Helper()
	of = make(map[string]int)
	for _, f := range files {
		if f.Doc == nil || !strings.Contains(f.Doc.Text(), "Its files, from the top down") {
			continue
		}
		_, text, _ := strings.Cut(f.Doc.Text(), "Its files, from the top down")
		for line := range strings.Lines(text) {
			if found := heading.FindStringSubmatch(line); found != nil {
				names = append(names, found[1])
				continue
			}
			for _, word := range strings.Fields(line) {
				if !strings.HasPrefix(line, "\t") || !strings.HasSuffix(word, ".go") {
					break
				}
				if of[word] > 0 {
					t.Errorf("%s: doc.go names it twice", word)
				}
				of[word] = len(names)
			}
		}
	}
	return names, of
}

// TestFilesUseEachOtherInOneDirection in each package: whoever reads a file need not know
// what is above it. Where a package says which layers it has, its files keep to that.
func TestFilesUseEachOtherInOneDirection(t *testing.T) {
	own, exports := packages(t, layered...)
	if len(own) != len(layered) {
		t.Fatalf("%d packages, want %d", len(own), len(layered))
	}
	for _, p := range own {
		name := strings.TrimPrefix(p.ImportPath, "progressd/")
		fset, files, info, checked := parse(t, p, exports)
		found := arrowsOf(fset, info, checked)
		if circle := found.circle(); circle != nil {
			for i := range len(circle) - 1 {
				t.Errorf("%s: %s uses %s of %s", name, circle[i], found[circle[i]][circle[i+1]], circle[i+1])
			}
		}
		names, layer := layersOf(t, files)
		if len(names) < 3 {
			t.Errorf("%s: doc.go doesn't say which layers there are: %v", name, names)
		}
		for file := range layer {
			if !slices.Contains(p.GoFiles, file) {
				t.Errorf("%s: doc.go names %s, which isn't there", name, file)
			}
		}
		for _, file := range p.GoFiles {
			if layer[file] == 0 && file != "doc.go" {
				t.Errorf("%s: doc.go doesn't say in which layer %s is", name, file)
			}
			for to, what := range found[file] {
				if layer[file] > layer[to] && layer[to] > 0 {
					t.Errorf("%s: %s (%s) uses %s of %s (%s), which is above it", name,
						file, names[layer[file]-1], what, to, names[layer[to]-1])
				}
			}
		}
	}
}

// TestJudgingOpensNothing: of sizer only the files that read have the open directory, or
// anything else by which the disk is asked. Judging asks by the functions of asked.go, and of
// the layout of a repository.
func TestJudgingOpensNothing(t *testing.T) {
	own, exports := packages(t, "./sizer")
	fset, files, info, _ := parse(t, own[0], exports)
	names, layer := layersOf(t, files)
	if !slices.Contains(names, "Judging") {
		t.Fatalf("no layer of sizer judges: %v", names)
	}
	for id, object := range info.Uses {
		file := filepath.Base(fset.Position(id.Pos()).Filename)
		if layer[file] > 0 && names[layer[file]-1] == "Judging" && asks(object) {
			t.Errorf("%s judges, and asks the disk itself: asked.go has such questions", fset.Position(id.Pos()))
		}
	}
}

// asks reports whether it is something that leads to the disk.
func asks(object types.Object) bool {
	if field, ok := object.(*types.Var); ok && field.IsField() {
		return field.Name() == "top" || field.Name() == "FS"
	}
	if object.Pkg() == nil {
		return false
	}
	switch object.Pkg().Path() {
	case "os", "golang.org/x/sys/unix":
		return true
	case "progressd/fsys":
		return object.Name() == "Dir" || object.Name() == "Kernel"
	default:
		return false
	}
}
