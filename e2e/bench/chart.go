package main

import (
	"bytes"
	"fmt"
	"html"
	"strings"
	"time"
)

// chart is what is drawn: groups of bars, all on one scale.
type chart struct {
	rtt    time.Duration
	groups []group
}

type group struct {
	name string
	bars []bar
}

type bar struct {
	label string
	took  time.Duration
	calls calls
	ours  bool
}

// String is what a bar says: how long, and how many requests that took.
func (b bar) String() string {
	return fmt.Sprintf("%s, %d calls", whole(b.took), b.calls.oidc+b.calls.sts+b.calls.ecr)
}

// theme has the colours for one of GitHub's backgrounds: of what is said, of what explains it, and of the bars.
type theme struct{ text, muted, ours, peer string }

var themes = map[string]theme{
	"light": {text: "#1f2328", muted: "#59636e", ours: "#0969da", peer: "#8c959f"},
	"dark":  {text: "#f0f6fc", muted: "#9198a1", ours: "#4493f8", peer: "#6e7681"},
}

// Measures of the drawing, in pixels at its own size.
const (
	width   = 720
	origin  = 204 // where bars begin
	longest = 400 // the longest bar
	thick   = 16
	step    = 23 // from bar to bar
	below   = 10 // from a group's name to its first bar
	apart   = 27 // from a group's last bar to the next name
)

// draw draws a chart as SVG, on no background and in whatever font the reader's system has.
func draw(c chart, t theme) []byte {
	slowest := time.Duration(1) // what the longest bar stands for
	var said []string           // the chart for who cannot see it
	for _, g := range c.groups {
		var bars []string
		for _, b := range g.bars {
			slowest = max(slowest, b.took)
			bars = append(bars, b.label+" "+b.String())
		}
		said = append(said, g.name+": "+strings.Join(bars, ", ")+".")
	}
	title := fmt.Sprintf("Logging in to Amazon ECR, at a round trip of %s", whole(c.rtt))
	var body bytes.Buffer
	text := func(x, y int, class, words string) {
		fmt.Fprintf(&body, "<text x=\"%d\" y=\"%d\" class=\"%s\">%s</text>\n", x, y, class, html.EscapeString(words))
	}
	text(0, 20, "title", title)
	text(0, 42, "muted", "Median time until every pull has its login, and calls to the CI, STS and ECR. Shorter is better.")
	y := 80
	for _, g := range c.groups {
		text(0, y, "group", g.name)
		y += below
		for _, b := range g.bars {
			class, long := "peer", max(2, longest*float64(b.took)/float64(slowest))
			if b.ours {
				class = "ours"
			}
			text(0, y+thick-4, "name", b.label)
			fmt.Fprintf(&body, "<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" rx=\"2\" class=\"%s\"/>\n", origin, y, long, thick, class)
			text(origin+int(long)+8, y+thick-4, class, b.String())
			y += step
		}
		y += apart
	}
	text(0, y, "note", peerName+" has its token in a file here: that somebody fetched it is not in its times.")
	return fmt.Appendf(nil, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d" role="img" aria-labelledby="title desc">
<title id="title">%[3]s</title>
<desc id="desc">%[4]s</desc>
<style>
text { font: 13px -apple-system, BlinkMacSystemFont, "Segoe UI", "Noto Sans", Helvetica, Arial, sans-serif; fill: %[5]s }
.title { font-size: 17px; font-weight: 600 }
.group, text.ours { font-weight: 600 }
.muted, .note, text.peer { fill: %[6]s }
.note { font-size: 12px }
rect.ours { fill: %[7]s }
rect.peer { fill: %[8]s }
</style>
%[9]s</svg>
`, width, y+10, html.EscapeString(title), html.EscapeString(strings.Join(said, " ")), t.text, t.muted, t.ours, t.peer, &body)
}

// whole is a time as a bar says it.
func whole(d time.Duration) string {
	if d < 999500*time.Microsecond {
		return fmt.Sprintf("%.0f ms", milliseconds(d))
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}
