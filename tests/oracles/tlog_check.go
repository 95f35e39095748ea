// A second opinion on a published log, by the packages with which every Go user checks sum.golang.org.
//
//	tlog_check DIR VKEY [OLD]   reads tlog-tiles below DIR, proves every entry, and OLD to the whole
//
// It prints "SIZE ROOT" and exits 0, or says what is wrong and exits 1.
package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const height = 8

type folder struct{ path string }

func (f folder) Height() int { return height }

func (f folder) SaveTiles([]tlog.Tile, [][]byte) {}

func (f folder) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var found [][]byte
	for _, tile := range tiles {
		name := strings.TrimPrefix(tile.Path(), fmt.Sprintf("tile/%d/", height))
		data, err := os.ReadFile(filepath.Join(f.path, "tile", name))
		if err != nil {
			return nil, err
		}
		found = append(found, data)
	}
	return found, nil
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func head(path string, verifiers note.Verifiers, origin string) tlog.Tree {
	message, err := os.ReadFile(path)
	must(err)
	opened, err := note.Open(message, verifiers)
	must(err)
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != origin || lines[3] != "" {
		must(fmt.Errorf("not the checkpoint of %s", origin))
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	must(err)
	root, err := tlog.ParseHash(lines[2])
	must(err)
	return tlog.Tree{N: size, Hash: root}
}

func entries(path string, size int64) [][]byte {
	var found [][]byte
	for n := int64(0); n*256 < size; n++ {
		width := 256
		if size-n*256 < 256 {
			width = int(size - n*256)
		}
		name := (tlog.Tile{H: height, L: -1, N: n, W: width}).Path()
		name = strings.TrimPrefix(name, fmt.Sprintf("tile/%d/data/", height))
		data, err := os.ReadFile(filepath.Join(path, "tile", "entries", name))
		must(err)
		for i := 0; i < width; i++ {
			if len(data) < 2 || len(data) < 2+int(binary.BigEndian.Uint16(data)) {
				must(fmt.Errorf("bundle %d is too short", n))
			}
			end := 2 + int(binary.BigEndian.Uint16(data))
			found = append(found, data[2:end])
			data = data[end:]
		}
		if len(data) > 0 {
			must(fmt.Errorf("bundle %d is too long", n))
		}
	}
	return found
}

func main() {
	path := os.Args[1]
	verifier, err := note.NewVerifier(os.Args[2])
	must(err)
	verifiers := note.VerifierList(verifier)
	tree := head(filepath.Join(path, "checkpoint"), verifiers, verifier.Name())
	reader := tlog.TileHashReader(tree, folder{path})
	for i, entry := range entries(path, tree.N) {
		proof, err := tlog.ProveRecord(tree.N, int64(i), reader)
		must(err)
		must(tlog.CheckRecord(proof, tree.N, tree.Hash, int64(i), tlog.RecordHash(entry)))
	}
	if len(os.Args) > 3 {
		old := head(os.Args[3], verifiers, verifier.Name())
		proof, err := tlog.ProveTree(tree.N, old.N, reader)
		must(err)
		must(tlog.CheckTree(proof, tree.N, tree.Hash, old.N, old.Hash))
	}
	fmt.Println(tree.N, tree.Hash)
}
