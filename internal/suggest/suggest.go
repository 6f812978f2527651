// Package suggest finds the known name that is most similar to a mistyped name.
package suggest

import "slices"

// Nearest returns the known name that requires the fewest edits of the mistyped name: at most two, and
// fewer than half the number of bytes of the mistyped name. It returns "" if there is none. An edit
// inserts, deletes or replaces a byte, or swaps two neighbors. If several names are equally near,
// Nearest returns the first.
func Nearest(mistyped string, known []string) string {
	nearest, least := "", min(2, (len(mistyped)-1)/2)+1
	for _, name := range known {
		if d := distance(mistyped, name); d < least {
			nearest, least = name, d
		}
	}
	return nearest
}

// distance returns the number of edits that turn a into b (optimal string alignment distance).
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			replaced := rows[i-1][j-1]
			if a[i-1] != b[j-1] {
				replaced++
			}
			edits := []int{replaced, rows[i-1][j] + 1, rows[i][j-1] + 1}
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				edits = append(edits, rows[i-2][j-2]+1)
			}
			rows[i][j] = slices.Min(edits)
		}
	}
	return rows[len(a)][len(b)]
}
