// The reference for an audit of hashes: a published log read whole by golang.org/x/mod, as fast as it goes.
//
//	oracle DIR VKEY   reads tlog-tiles below DIR: bundles, every tile, the root, and a proof of every entry
//
// It keeps the tree's hashes in memory. It prints "SIZE ROOT" and exits 0, or says what is wrong and exits 1.
package main

import (
	"bytes"
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

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func head(path string, verifier note.Verifier) tlog.Tree {
	message, err := os.ReadFile(path)
	must(err)
	opened, err := note.Open(message, note.VerifierList(verifier))
	must(err)
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() {
		must(fmt.Errorf("not the checkpoint of %s", verifier.Name()))
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	must(err)
	root, err := tlog.ParseHash(lines[2])
	must(err)
	return tlog.Tree{N: size, Hash: root}
}

func bundle(path string, n int64, width int) [][]byte {
	name := (tlog.Tile{H: height, L: -1, N: n, W: width}).Path()
	name = strings.TrimPrefix(name, fmt.Sprintf("tile/%d/data/", height))
	data, err := os.ReadFile(filepath.Join(path, "tile", "entries", name))
	must(err)
	var found [][]byte
	for len(data) >= 2 && len(data) >= 2+int(binary.BigEndian.Uint16(data)) {
		end := 2 + int(binary.BigEndian.Uint16(data))
		found = append(found, data[2:end])
		data = data[end:]
	}
	if len(data) > 0 || len(found) != width {
		must(fmt.Errorf("bundle %d has not %d entries", n, width))
	}
	return found
}

func main() {
	path := os.Args[1]
	verifier, err := note.NewVerifier(os.Args[2])
	must(err)
	tree := head(filepath.Join(path, "checkpoint"), verifier)
	var stored, leaves []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		found := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			found[i] = stored[index]
		}
		return found, nil
	})
	for at := int64(0); at < tree.N; at += 1 << height {
		width := 1 << height
		if tree.N-at < 1<<height {
			width = int(tree.N - at)
		}
		for _, entry := range bundle(path, at>>height, width) {
			leaf := tlog.RecordHash(entry)
			hashes, err := tlog.StoredHashesForRecordHash(int64(len(leaves)), leaf, reader)
			must(err)
			leaves, stored = append(leaves, leaf), append(stored, hashes...)
		}
	}
	root, err := tlog.TreeHash(tree.N, reader)
	must(err)
	if root != tree.Hash {
		must(fmt.Errorf("the entries have another root"))
	}
	for _, tile := range tlog.NewTiles(height, 0, tree.N) {
		if tile.W < 1<<height && tile.N<<height+int64(tile.W) != tree.N>>(height*tile.L) {
			continue // a partial tile of a size before
		}
		name := strings.TrimPrefix(tile.Path(), fmt.Sprintf("tile/%d/", height))
		published, err := os.ReadFile(filepath.Join(path, "tile", name))
		must(err)
		ours, err := tlog.ReadTileData(tile, reader)
		must(err)
		if !bytes.Equal(published, ours) {
			must(fmt.Errorf("%s has other hashes", tile.Path()))
		}
	}
	for i, leaf := range leaves {
		proof, err := tlog.ProveRecord(tree.N, int64(i), reader)
		must(err)
		must(tlog.CheckRecord(proof, tree.N, tree.Hash, int64(i), leaf))
	}
	fmt.Println(tree.N, tree.Hash)
}
