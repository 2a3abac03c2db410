// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/chromedp/cdproto"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/device"
)

// visitor is one person's browser: a profile with nothing in it, and one tab. Each method is a step; one that cannot be
// taken ends the test.
type visitor struct {
	t       *testing.T
	ctx     context.Context //nolint:containedctx // chromedp hands a tab around as a context
	console *consoleLog
}

// consoleLog is what pages said where only developers look.
type consoleLog struct {
	mu    sync.Mutex
	lines []string
}

func (l *consoleLog) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
}

func (l *consoleLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "\n")
}

// newVisitor opens a browser profile of its own, on a desktop computer.
func newVisitor(t *testing.T) *visitor {
	t.Helper()
	return openTab(t, startBrowser(t), chromedp.WithNewBrowserContext())
}

// newTab opens another tab of the same person.
func (v *visitor) newTab() *visitor {
	v.t.Helper()
	return openTab(v.t, v.ctx)
}

func openTab(t *testing.T, parent context.Context, options ...chromedp.ContextOption) *visitor {
	t.Helper()
	ctx, cancel := chromedp.NewContext(parent, options...)
	v := &visitor{t: t, ctx: ctx, console: new(consoleLog)}
	t.Cleanup(func() {
		// A page that breaks its own policy works for its author only.
		if said := v.console.String(); strings.Contains(said, "Content Security Policy") {
			t.Errorf("the page broke its policy:\n%s", said)
		}
		if t.Failed() {
			v.explain()
		}
		cancel()
	})
	// The first call ties the tab to its context, so it has no deadline.
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(1280, 900)); err != nil {
		t.Fatalf("opening a tab: %v", err)
	}
	messages := chromedp.Console(ctx)
	go func() {
		for message, err := range messages {
			if err != nil {
				return
			}
			v.console.add(fmt.Sprint(message))
		}
	}()
	return v
}

// onPhone makes the visitor's device a telephone: its size, its touch screen, its name.
func (v *visitor) onPhone() *visitor {
	v.t.Helper()
	v.do("turning into a phone", chromedp.Emulate(device.IPhone15))
	return v
}

// withoutScripts switches JavaScript off.
func (v *visitor) withoutScripts() *visitor {
	v.t.Helper()
	v.do("switching scripts off", chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
		return err
	}))
	return v
}

// open enters the address into the address bar.
func (v *visitor) open(address string) {
	v.t.Helper()
	v.do("opening "+address, chromedp.Navigate(address))
}

// back presses the browser's back button.
func (v *visitor) back() {
	v.t.Helper()
	v.do("going back", chromedp.NavigateBack())
}

// requested remembers the addresses that the browser asks for from now on; the returned function tells the last one whose
// query has the parameter.
func (v *visitor) requested(parameter string) func() string {
	v.t.Helper()
	var last atomic.Value
	err := chromedp.Listen(v.ctx, func(event any) {
		request, ok := event.(*network.EventRequestWillBeSent)
		if !ok {
			return
		}
		if address, err := url.Parse(request.Request.URL); err == nil && address.Query().Has(parameter) {
			last.Store(request.Request.URL)
		}
	})
	if err != nil {
		v.t.Fatalf("watching requests: %v", err)
	}
	return func() string {
		address, _ := last.Load().(string)
		return address
	}
}

// click waits for the element to be visible and clicks it.
func (v *visitor) click(selector string) {
	v.t.Helper()
	v.do("clicking "+selector, chromedp.WaitVisible(chromedp.CSS(selector)), chromedp.Click(chromedp.CSS(selector)))
}

// press presses the keys, one after the other.
func (v *visitor) press(keys string) {
	v.t.Helper()
	v.do(fmt.Sprintf("pressing %q", keys), chromedp.KeyEvent(keys))
}

// see waits for the element to be visible.
func (v *visitor) see(selector string) {
	v.t.Helper()
	v.do("seeing "+selector, chromedp.WaitVisible(chromedp.CSS(selector)))
}

// read waits for the element to be visible and returns its text.
func (v *visitor) read(selector string) string {
	v.t.Helper()
	return step(v, "reading "+selector, chromedp.Text(chromedp.CSS(selector), chromedp.NodeVisible))
}

// attribute waits for the element and returns one of its attributes.
func (v *visitor) attribute(selector, name string) string {
	v.t.Helper()
	result := step(v, "reading "+name+" of "+selector, chromedp.AttributeValue(chromedp.CSS(selector), name))
	return result.Value
}

// at returns the address in the address bar.
func (v *visitor) at() string {
	v.t.Helper()
	return step(v, "reading the address", chromedp.Location())
}

// evaluate runs a script in the page, as the app's own code would, and returns what it comes to.
func evaluate[T any](v *visitor, script string) T {
	v.t.Helper()
	return step(v, "running a script", chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
}

func (v *visitor) do(what string, actions ...chromedp.Action[chromedp.Void]) {
	v.t.Helper()
	step(v, what, chromedp.Steps(actions...))
}

// step runs one action within the patience of a step. One that meets a page just as the next takes its place is taken
// again: the browser has then done nothing, and a person would look again, too.
func step[T any](v *visitor, what string, action chromedp.Action[T]) T {
	v.t.Helper()
	ctx, cancel := context.WithTimeoutCause(v.ctx, patience, errors.New("the page never came to it"))
	defer cancel()
	for {
		result, err := chromedp.Run(ctx, action)
		if err != nil && pageReplaced(err) && ctx.Err() == nil {
			continue
		}
		if err != nil {
			v.t.Fatalf("%s: %v (%v)", what, err, context.Cause(ctx))
		}
		return result
	}
}

// pageReplaced tells whether the browser no longer knows the element or the page that an action had in hand. The
// protocol has one code for all of its own errors, so its words decide.
func pageReplaced(err error) bool {
	var refused *cdproto.Error
	if !errors.As(err, &refused) || refused.Code != -32000 {
		return false
	}
	for _, words := range []string{
		"node with given id", "Node with given id", "find context with specified id", "context was destroyed",
		"target navigated or closed",
	} {
		if strings.Contains(refused.Message, words) {
			return true
		}
	}
	return false
}

// explain tells where a failed visitor stood: address, words, console, and a picture that outlives the test.
func (v *visitor) explain() {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.ctx, patience)
	defer cancel()
	if address, err := chromedp.Run(ctx, chromedp.Location()); err == nil {
		v.t.Logf("the visitor stands at %s", address)
	}
	if text, err := chromedp.Run(ctx, chromedp.Text(chromedp.CSS("body"))); err == nil {
		v.t.Logf("the page says:\n%s", text)
	}
	if said := v.console.String(); said != "" {
		v.t.Logf("the console says:\n%s", said)
	}
	picture, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		return
	}
	name := strings.NewReplacer("/", "-", " ", "-").Replace(v.t.Name())
	file, err := os.CreateTemp("", "e2e-"+name+"-*.png")
	if err != nil {
		return
	}
	defer file.Close()
	if _, err := file.Write(picture); err == nil {
		v.t.Logf("a picture of it: %s", filepath.ToSlash(file.Name()))
	}
}
