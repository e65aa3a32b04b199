package main

import (
	"bytes"
	"image/color"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// theme is the colours of one variant of the chart; the background is the page's.
type theme struct {
	text, quiet, us, them color.Color
}

var (
	light = theme{text: rgb(0x1f2328), quiet: rgb(0x59636e), us: rgb(0x0969da), them: rgb(0xafb8c1)}
	dark  = theme{text: rgb(0xf0f6fc), quiet: rgb(0x9198a1), us: rgb(0x4493f8), them: rgb(0x545d68)}
)

func rgb(v uint32) color.Color {
	return color.RGBA{R: uint8(v >> 16), G: uint8(v >> 8), B: uint8(v), A: 0xff}
}

// panel is one of the chart's bar charts.
type panel struct {
	scenario, field string
	title, better   string
	format          func(float64) string
}

var panels = []panel{
	{"a", "deliveries_per_s", "Deliveries/s, 1,000 in a room", "more is better", count},
	{"b", "deliveries_per_s", "Deliveries/s, overloaded", "more is better", count},
	{"e", "rss_per_conn", "Idle memory for each", "less is better", bytesShort},
}

func bytesShort(v float64) string { return strings.Replace(bytes1024(v), " KiB", " K", 1) }

const (
	chartWidth = vg.Length(640)
	barHeight  = vg.Length(17)
	headHeight = vg.Length(46)
	fontSize   = vg.Length(9.5)
)

// bars are the values of one panel, one per server; absent ones are negative.
type bars struct {
	panel
	values []float64
}

// chartData is the servers of the chart, the best first, and the panels that have figures.
func (s *summary) chartData() (names []string, us int, all []bars) {
	present := map[string]bool{}
	for _, p := range panels {
		sc, _ := scenarioNamed(p.scenario)
		for _, r := range s.rows(sc) {
			present[r.server.name] = true
		}
	}
	first, _ := scenarioNamed(panels[0].scenario)
	order := s.rows(first)
	for _, srv := range servers {
		if present[srv.name] && !slices.ContainsFunc(order, func(r row) bool { return r.server.name == srv.name }) {
			order = append(order, row{s, first, srv})
		}
	}
	us = -1
	for i, r := range order {
		names = append(names, r.server.label)
		if r.server.name == ours {
			us = i
		}
	}
	for _, p := range panels {
		sc, _ := scenarioNamed(p.scenario)
		b, found := bars{panel: p}, false
		for _, r := range order {
			v, ok := row{s, sc, r.server}.get(r.server.name, "", p.field)
			if !ok {
				v = -1
			}
			found = found || ok
			b.values = append(b.values, v)
		}
		if found {
			all = append(all, b)
		}
	}
	return names, us, all
}

// chartText says what the chart shows, for those who cannot see it.
func (s *summary) chartText() string {
	names, us, all := s.chartData()
	if us < 0 || len(all) == 0 {
		return "Bar charts of the tables below"
	}
	var parts []string
	for _, b := range all {
		part := b.title + ": "
		for i, v := range b.values {
			if v >= 0 {
				part += names[i] + " " + b.format(v) + ", "
			}
		}
		parts = append(parts, strings.TrimSuffix(part, ", "))
	}
	return strings.Join(parts, ". ")
}

// chart draws the panels side by side as SVG; nil if there is nothing to show.
func (s *summary) chart(t theme) ([]byte, error) {
	names, us, all := s.chartData()
	if len(all) == 0 {
		return nil, nil
	}
	plots := make([]*plot.Plot, len(all))
	for i, b := range all {
		p, err := b.plot(t, names, us, i == 0)
		if err != nil {
			return nil, err
		}
		plots[i] = p
	}
	height := headHeight + barHeight*vg.Length(len(names))
	canvas := vgsvg.NewWith(vgsvg.UseWH(chartWidth, height))
	// The first panel has the names besides.
	tiles := split(draw.New(canvas), len(plots))
	for i, p := range plots {
		p.Draw(tiles[i])
	}
	var out bytes.Buffer
	if _, err := canvas.WriteTo(&out); err != nil {
		return nil, err
	}
	// The library's font has the widths of Arial; on most systems that or Helvetica is there.
	return bytes.ReplaceAll(out.Bytes(), []byte("font-family:Liberation Sans"), []byte("font-family:'Liberation Sans',Arial,Helvetica,sans-serif")), nil
}

// nameWidth is what the names take on the left of the first panel, namePadding what they have to spare where the font is a wider one.
const (
	nameWidth   = vg.Length(128)
	namePadding = vg.Length(18)
)

// split divides the canvas into panels of the same width, the first with the names before it.
func split(c draw.Canvas, n int) []draw.Canvas {
	each := (chartWidth - nameWidth) / vg.Length(n)
	tiles := make([]draw.Canvas, n)
	left := vg.Length(0)
	for i := range tiles {
		right := nameWidth + each*vg.Length(i+1)
		tiles[i] = draw.Crop(c, left, right-chartWidth, 0, 0)
		left = right
	}
	return tiles
}

// plot is one panel.
func (b bars) plot(t theme, names []string, us int, withNames bool) (*plot.Plot, error) {
	p := b.frame(t)
	n, most := len(b.values), 0.0
	theirs, our := make(plotter.Values, n), make(plotter.Values, n)
	labels := plotter.XYLabels{XYs: make(plotter.XYs, n), Labels: make([]string, n)}
	up := make([]string, n) // the axis begins at the bottom
	for i, v := range b.values {
		at := n - 1 - i
		up[at] = names[i]
		labels.XYs[at].Y, labels.Labels[at] = float64(at), "–"
		if v < 0 {
			continue
		}
		most = max(most, v)
		labels.XYs[at].X, labels.Labels[at] = v, b.format(v)
		if i == us {
			our[at] = v
		} else {
			theirs[at] = v
		}
	}
	for _, set := range []struct {
		values plotter.Values
		color  color.Color
	}{{theirs, t.them}, {our, t.us}} {
		chart, err := plotter.NewBarChart(set.values, barHeight*0.66)
		if err != nil {
			return nil, err
		}
		chart.Horizontal, chart.Color, chart.LineStyle.Width = true, set.color, 0
		p.Add(chart)
	}
	values, err := plotter.NewLabels(labels)
	if err != nil {
		return nil, err
	}
	for i := range values.TextStyle {
		style(&values.TextStyle[i], t.quiet)
		values.TextStyle[i].YAlign = text.YCenter
	}
	if us >= 0 {
		values.TextStyle[n-1-us].Color = t.text
	}
	values.Offset.X = vg.Points(4)
	p.Add(values)
	p.NominalY(up...)
	p.Y.Padding = namePadding
	if !withNames {
		p.HideY()
	}
	p.X.Min, p.X.Max = 0, most*1.45
	return p, nil
}

// frame is the panel without its bars.
func (b bars) frame(t theme) *plot.Plot {
	p := plot.New()
	p.BackgroundColor = color.Transparent
	p.Title.Text = b.title + "\n" + b.better
	p.Title.Padding = vg.Points(4)
	p.HideX()
	p.Y.LineStyle.Width = 0
	p.Y.Tick.LineStyle.Width = 0
	style(&p.Title.TextStyle, t.text)
	style(&p.Y.Tick.Label, t.text)
	return p
}

// style makes all text of the chart look the same.
func style(s *text.Style, c color.Color) {
	s.Color, s.Font.Size, s.Font.Variant = c, fontSize, "Sans"
}
