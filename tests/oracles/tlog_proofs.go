// Every proof by the packages with which every Go user checks sum.golang.org, for a tree whose leaf i is "i".
//
//	tlog_proofs SIZE   reads lines "I N" with I < N <= SIZE
//
// For each it prints the inclusion proof of leaf I in N leaves and the consistency proof from I+1 to N leaves,
// each as hexadecimal hashes joined, "-" for none, after it has checked both itself.
package main

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/mod/sumdb/tlog"
)

type store []tlog.Hash

func (s store) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	found := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		found[i] = s[index]
	}
	return found, nil
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func spelled(proof []tlog.Hash) string {
	if len(proof) == 0 {
		return "-"
	}
	text := ""
	for _, hash := range proof {
		text += hex.EncodeToString(hash[:])
	}
	return text
}

func main() {
	size, err := strconv.ParseInt(os.Args[1], 10, 64)
	must(err)
	var hashes store
	leaves := make([]tlog.Hash, size)
	for i := int64(0); i < size; i++ {
		leaves[i] = tlog.RecordHash([]byte(strconv.FormatInt(i, 10)))
		added, err := tlog.StoredHashesForRecordHash(i, leaves[i], hashes)
		must(err)
		hashes = append(hashes, added...)
	}
	roots := map[int64]tlog.Hash{}
	root := func(n int64) tlog.Hash {
		if _, known := roots[n]; !known {
			roots[n], err = tlog.TreeHash(n, hashes)
			must(err)
		}
		return roots[n]
	}
	lines, out := bufio.NewScanner(os.Stdin), bufio.NewWriter(os.Stdout)
	for lines.Scan() {
		var i, n int64
		_, err := fmt.Sscanf(lines.Text(), "%d %d", &i, &n)
		must(err)
		inclusion, err := tlog.ProveRecord(n, i, hashes)
		must(err)
		must(tlog.CheckRecord(inclusion, n, root(n), i, leaves[i]))
		consistency, err := tlog.ProveTree(n, i+1, hashes)
		must(err)
		must(tlog.CheckTree(tlog.TreeProof(consistency), n, root(n), i+1, root(i+1)))
		fmt.Fprintln(out, spelled(inclusion), spelled([]tlog.Hash(consistency)))
	}
	must(out.Flush())
}
