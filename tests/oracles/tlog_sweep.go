// Which changed bytes of a published log would escape the packages with which every Go user checks sum.golang.org.
//
//	tlog_sweep DIR VKEY   changes each byte of each file below DIR, to what it is XOR 1, 128 and 255
//
// For each change it opens the checkpoint and proves every entry. It prints "CHANGES n" and a line
// "ESCAPED FILE PLACE MASK" for each change that it did not notice.
package main

import (
	"encoding/binary"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const height = 8

type files map[string][]byte

func (f files) Height() int { return height }

func (f files) SaveTiles([]tlog.Tile, [][]byte) {}

func (f files) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var found [][]byte
	for _, tile := range tiles {
		data, there := f["tile/"+strings.TrimPrefix(tile.Path(), fmt.Sprintf("tile/%d/", height))]
		if !there {
			return nil, fmt.Errorf("no %s", tile.Path())
		}
		found = append(found, data)
	}
	return found, nil
}

func (f files) head(verifier note.Verifier) (tlog.Tree, error) {
	opened, err := note.Open(f["checkpoint"], note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() || lines[3] != "" {
		return tlog.Tree{}, fmt.Errorf("not the checkpoint of %s", verifier.Name())
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, err
	}
	root, err := tlog.ParseHash(lines[2])
	return tlog.Tree{N: size, Hash: root}, err
}

func (f files) entries(size int64) ([][]byte, error) {
	var found [][]byte
	for n := int64(0); n*256 < size; n++ {
		width := 256
		if size-n*256 < 256 {
			width = int(size - n*256)
		}
		name := (tlog.Tile{H: height, L: -1, N: n, W: width}).Path()
		data := f["tile/entries/"+strings.TrimPrefix(name, fmt.Sprintf("tile/%d/data/", height))]
		for i := 0; i < width; i++ {
			if len(data) < 2 || len(data) < 2+int(binary.BigEndian.Uint16(data)) {
				return nil, fmt.Errorf("bundle %d is too short", n)
			}
			end := 2 + int(binary.BigEndian.Uint16(data))
			found = append(found, data[2:end])
			data = data[end:]
		}
		if len(data) > 0 {
			return nil, fmt.Errorf("bundle %d is too long", n)
		}
	}
	return found, nil
}

func (f files) check(verifier note.Verifier) error {
	tree, err := f.head(verifier)
	if err != nil {
		return err
	}
	entries, err := f.entries(tree.N)
	if err != nil {
		return err
	}
	reader := tlog.TileHashReader(tree, f)
	for i, entry := range entries {
		proof, err := tlog.ProveRecord(tree.N, int64(i), reader)
		if err != nil {
			return err
		}
		if err := tlog.CheckRecord(proof, tree.N, tree.Hash, int64(i), tlog.RecordHash(entry)); err != nil {
			return err
		}
	}
	return nil
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	found := files{}
	must(filepath.WalkDir(os.Args[1], func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(os.Args[1], path)
		if err == nil {
			found[filepath.ToSlash(name)], err = os.ReadFile(path)
		}
		return err
	}))
	verifier, err := note.NewVerifier(os.Args[2])
	must(err)
	must(found.check(verifier))
	changes := 0
	for name, data := range found {
		for place := range data {
			for _, mask := range []byte{1, 128, 255} {
				data[place] ^= mask
				if found.check(verifier) == nil {
					fmt.Println("ESCAPED", name, place, mask)
				}
				data[place] ^= mask
				changes++
			}
		}
	}
	fmt.Println("CHANGES", changes)
}
