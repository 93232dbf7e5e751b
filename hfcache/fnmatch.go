package hfcache

import "slices"

// compile follows fnmatch.translate of Python 3.11 step by step, oddities
// included: what the downloader selects is what its own library says.
func compile(pattern string) []glob {
	var out []glob
	pat := []rune(pattern)
	for i := 0; i < len(pat); i++ {
		switch pat[i] {
		case '*':
			if len(out) == 0 || !out[len(out)-1].star {
				out = append(out, glob{star: true})
			}
		case '?':
			out = append(out, glob{not: true})
		case '[':
			end := setEnd(pat, i+1)
			if end < 0 {
				out = append(out, single('['))
				continue
			}
			out = append(out, compileSet(pat[i+1:end]))
			i = end
		default:
			out = append(out, single(pat[i]))
		}
	}
	return out
}

func single(r rune) glob {
	return glob{ranges: []runeRange{{r, r}}}
}

// setEnd finds the bracket that closes the set whose content begins at i, -1
// if there is none. A bracket that comes first belongs to the set.
func setEnd(pat []rune, i int) int {
	if i < len(pat) && pat[i] == '!' {
		i++
	}
	if i < len(pat) && pat[i] == ']' {
		i++
	}
	if i >= len(pat) {
		return -1
	}
	if n := slices.Index(pat[i:], ']'); n >= 0 {
		return i + n
	}
	return -1
}

// compileSet compiles what stands between the brackets.
func compileSet(stuff []rune) glob {
	toks := setTokens(dropEmptyRanges(rangeChunks(stuff)))
	var g glob
	if len(toks) > 0 && toks[0] == (setToken{r: '!'}) {
		g.not = true
		toks = toks[1:]
	}
	for i := 0; i < len(toks); i++ {
		if i+2 < len(toks) && toks[i+1].to {
			g.ranges = append(g.ranges, runeRange{toks[i].r, toks[i+2].r})
			i += 2
			continue
		}
		g.ranges = append(g.ranges, runeRange{toks[i].r, toks[i].r})
	}
	return g
}

// rangeChunks splits a set at the hyphens that make a range: each lies
// between the last character of one chunk and the first of the next.
func rangeChunks(stuff []rune) [][]rune {
	var chunks [][]rune
	start, from := 0, 1
	if len(stuff) > 0 && stuff[0] == '!' {
		from = 2
	}
	for from < len(stuff) {
		n := slices.Index(stuff[from:], '-')
		if n < 0 {
			break
		}
		hyphen := from + n
		chunks = append(chunks, stuff[start:hyphen:hyphen])
		start, from = hyphen+1, hyphen+3
	}
	if start < len(stuff) || len(chunks) == 0 {
		return append(chunks, stuff[start:])
	}
	// A hyphen at the very end is one to match.
	last := len(chunks) - 1
	chunks[last] = append(chunks[last], '-')
	return chunks
}

// dropEmptyRanges removes the ranges that run backwards.
func dropEmptyRanges(chunks [][]rune) [][]rune {
	for k := len(chunks) - 1; k > 0; k-- {
		before, after := chunks[k-1], chunks[k]
		if before[len(before)-1] > after[0] {
			chunks[k-1] = slices.Concat(before[:len(before)-1], after[1:])
			chunks = slices.Delete(chunks, k, k+1)
		}
	}
	return chunks
}

// setToken is a character of a set, or the hyphen that makes a range.
type setToken struct {
	r  rune
	to bool
}

func setTokens(chunks [][]rune) []setToken {
	var toks []setToken
	for k, chunk := range chunks {
		if k > 0 {
			toks = append(toks, setToken{r: '-', to: true})
		}
		for _, r := range chunk {
			toks = append(toks, setToken{r: r})
		}
	}
	return toks
}
