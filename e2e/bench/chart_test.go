package main

import (
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"
)

var testChart = chart{60 * time.Millisecond, []group{
	{"A cold login", []bar{{"helper & <more>", 315 * time.Millisecond, calls{1, 1, 1}, true},
		{"peer", 377 * time.Millisecond, calls{0, 1, 1}, false}}},
	{"Ten pulls", []bar{{"helper & <more>", 375 * time.Millisecond, calls{1, 1, 1}, true},
		{"peer", 3750 * time.Millisecond, calls{0, 10, 10}, false}}},
}}

// TestChart checks that the chart is XML without external resources, that all figures are in the
// text alternative, and that all bars have the same scale.
func TestChart(t *testing.T) {
	for name, colors := range themes {
		svg := string(draw(testChart, colors))
		var texts, bars []string
		for d := xml.NewDecoder(strings.NewReader(svg)); ; {
			token, err := d.Token()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			switch e := token.(type) {
			case xml.CharData:
				texts = append(texts, string(e))
			case xml.StartElement:
				for _, a := range e.Attr {
					switch {
					case e.Name.Local == "rect" && a.Name.Local == "width":
						bars = append(bars, a.Value)
					case a.Name.Local == "href" || strings.Contains(a.Value, "url("):
						t.Errorf("%s: %s has %s", name, e.Name.Local, a.Value)
					}
				}
			}
		}
		text := strings.Join(texts, "\n")
		for _, want := range []string{
			"a round-trip time of 60 ms", "\nhelper & <more>\n", "\n315 ms, 3 calls\n",
			"\n377 ms, 2 calls\n", "\n375 ms, 3 calls\n", "\n3.8 s, 20 calls\n",
			"Ten pulls: helper & <more> 375 ms, 3 calls, peer 3.8 s, 20 calls.", colors.text,
			colors.muted, colors.helper, colors.peer,
		} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: the chart lacks %q:\n%s", name, want, svg)
			}
		}
		if want := fmt.Sprint([]string{"33.6", "40.2", "40.0", "400.0"}); fmt.Sprint(bars) != want {
			t.Errorf("%s: bars of %v, want %v", name, bars, want)
		}
		if !strings.Contains(svg, `role="img"`) || strings.Contains(svg, "@import") {
			t.Errorf("%s:\n%s", name, svg)
		}
	}
}

// TestContrast checks the contrast of text and bars with GitHub's backgrounds.
// https://www.w3.org/TR/WCAG22/#contrast-minimum, #non-text-contrast
func TestContrast(t *testing.T) {
	for name, background := range map[string]string{"light": "#ffffff", "dark": "#0d1117"} {
		c := themes[name]
		for color, least := range map[string]float64{c.text: 4.5, c.muted: 4.5, c.helper: 3, c.peer: 3} {
			if got := contrast(color, background); got < least {
				t.Errorf("%s: %s on %s: %.2f, want %g", name, color, background, got, least)
			}
		}
	}
}

func contrast(a, b string) float64 {
	x, y := luminance(a), luminance(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

func luminance(color string) (sum float64) {
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		n, err := strconv.ParseUint(color[1+2*i:][:2], 16, 8)
		if err != nil {
			panic(err)
		}
		v := float64(n) / 255
		if v <= 0.04045 {
			v /= 12.92
		} else {
			v = math.Pow((v+0.055)/1.055, 2.4)
		}
		sum += weight * v
	}
	return sum
}
