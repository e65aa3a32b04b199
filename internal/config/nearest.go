package config

import "strings"

// nearest is the name that was probably meant by the one that was written, "" if none is near.
func nearest(written string, names []string) string {
	written = strings.ReplaceAll(strings.ToLower(written), "_", "-")
	best, least := "", max(2, len(written)/3)+1
	for _, name := range names {
		d := distance(written, name)
		if strings.HasPrefix(name, written) && written != "" {
			d = min(d, 2)
		}
		if d < least {
			best, least = name, d
		}
	}
	return best
}

// distance is how many bytes have to be added, taken away or changed to make b of a (Levenshtein).
func distance(a, b string) int {
	if len(a) > 64 {
		return len(a) // no name is as long as that: nothing is near
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
