package main

import (
	"bytes"
	"fmt"
	"html"
	"strings"
	"time"
)

// chart is a bar chart. All bars have the same scale.
type chart struct {
	rtt    time.Duration
	groups []group
}

type group struct {
	name string
	bars []bar
}

type bar struct {
	label    string
	duration time.Duration
	calls    calls
	helper   bool
}

// String returns the text at the end of a bar: the duration and the number of calls.
func (b bar) String() string {
	return fmt.Sprintf("%s, %d calls", formatBarDuration(b.duration), b.calls.oidc+b.calls.sts+b.calls.ecr)
}

// theme contains the colors for one of GitHub's backgrounds: of text, of secondary text and of the
// bars.
type theme struct{ text, muted, helper, peer string }

var themes = map[string]theme{
	"light": {text: "#1f2328", muted: "#59636e", helper: "#0969da", peer: "#8c959f"},
	"dark":  {text: "#f0f6fc", muted: "#9198a1", helper: "#4493f8", peer: "#6e7681"},
}

// Dimensions of the chart in pixels.
const (
	width     = 720
	barLeft   = 204
	barLength = 400 // of the longest bar
	barHeight = 16
	barStep   = 23 // from one bar to the next
	groupHead = 10 // from a group's name to its first bar
	groupGap  = 27 // from a group's last bar to the next name
)

// draw returns a chart as SVG with a transparent background and system fonts.
func draw(c chart, t theme) []byte {
	slowest := time.Duration(1) // duration of the longest bar
	var descriptions []string   // the text alternative
	for _, g := range c.groups {
		var bars []string
		for _, b := range g.bars {
			slowest = max(slowest, b.duration)
			bars = append(bars, b.label+" "+b.String())
		}
		descriptions = append(descriptions, g.name+": "+strings.Join(bars, ", ")+".")
	}
	title := fmt.Sprintf("Logging in to Amazon ECR with a round-trip time of %s", formatBarDuration(c.rtt))
	var body bytes.Buffer
	text := func(x, y int, class, s string) {
		fmt.Fprintf(&body, "<text x=\"%d\" y=\"%d\" class=\"%s\">%s</text>\n", x, y, class,
			html.EscapeString(s))
	}
	text(0, 20, "title", title)
	text(0, 42, "muted",
		"Median time until all pulls have a login, and calls to the CI, STS and ECR. Shorter is better.")
	y := 80
	for _, g := range c.groups {
		text(0, y, "group", g.name)
		y += groupHead
		for _, b := range g.bars {
			class, length := "peer", max(2, barLength*float64(b.duration)/float64(slowest))
			if b.helper {
				class = "helper"
			}
			text(0, y+barHeight-4, "name", b.label)
			fmt.Fprintf(&body,
				"<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" rx=\"2\" class=\"%s\"/>\n",
				barLeft, y, length, barHeight, class)
			text(barLeft+int(length)+8, y+barHeight-4, class, b.String())
			y += barStep
		}
		y += groupGap
	}
	text(0, y, "note", peerName+" reads its token from a file. Its times do not include fetching the token.")
	const attributes = `width="%d" height="%d" viewBox="0 0 %[1]d %[2]d" role="img" aria-labelledby="title desc"`
	return fmt.Appendf(nil, `<svg xmlns="http://www.w3.org/2000/svg" `+attributes+`>
<title id="title">%[3]s</title>
<desc id="desc">%[4]s</desc>
<style>
text { font: 13px -apple-system, BlinkMacSystemFont, "Segoe UI", "Noto Sans", Helvetica, Arial, sans-serif; fill: %[5]s }
.title { font-size: 17px; font-weight: 600 }
.group, text.helper { font-weight: 600 }
.muted, .note, text.peer { fill: %[6]s }
.note { font-size: 12px }
rect.helper { fill: %[7]s }
rect.peer { fill: %[8]s }
</style>
%[9]s</svg>
`,
		width,
		y+10,
		html.EscapeString(title),
		html.EscapeString(strings.Join(descriptions, " ")),
		t.text,
		t.muted,
		t.helper,
		t.peer,
		&body)
}

// formatBarDuration formats a duration for the text of a bar.
func formatBarDuration(d time.Duration) string {
	if d < 999500*time.Microsecond {
		return fmt.Sprintf("%.0f ms", milliseconds(d))
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}
