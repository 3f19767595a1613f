// Go's context doing the work of the comparison's rows, as a process that is asked: a line "row arg.. times" on standard
// input, the figures of one run on standard output. So Go's turns lie between the others' turns.
//
// Rows of one thread are timed by the thread's own CPU clock, as everywhere in the comparison: what the collector's
// threads do meanwhile is not charged. Rows of several goroutines are timed by the wall's clock.
package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

const timeout = 30 * time.Second

var background = context.Background()

type pair struct {
	ctx    context.Context
	cancel context.CancelFunc
}

func child(parent context.Context) pair {
	ctx, cancel := context.WithCancel(parent)
	return pair{ctx, cancel}
}

func clock(id uintptr) time.Duration {
	var at syscall.Timespec
	syscall.Syscall(syscall.SYS_CLOCK_GETTIME, id, uintptr(unsafe.Pointer(&at)), 0)
	return time.Duration(at.Nano())
}

// busy is what this thread has spent; spent is what the process has.
func busy() time.Duration  { return clock(3) }
func spent() time.Duration { return clock(2) }

func stopwatch(work func()) float64 {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	start := busy()
	work()
	return float64(busy() - start)
}

// together runs work(times) on so many goroutines at once, in nanoseconds of one core.
func together(count, times int, work func(int)) float64 {
	if count == 1 {
		return stopwatch(func() { work(times) })
	}
	var arrived atomic.Int64
	var all sync.WaitGroup
	starts, ends := make([]time.Time, count), make([]time.Time, count)
	for n := range count {
		all.Add(1)
		go func() {
			defer all.Done()
			arrived.Add(1)
			for arrived.Load() < int64(count) {
				runtime.Gosched()
			}
			starts[n] = time.Now()
			work(times)
			ends[n] = time.Now()
		}()
	}
	all.Wait()
	start, end := starts[0], ends[0]
	for n := range count {
		if starts[n].Before(start) {
			start = starts[n]
		}
		if ends[n].After(end) {
			end = ends[n]
		}
	}
	cores := min(count, runtime.GOMAXPROCS(0))
	return float64(end.Sub(start)) * float64(cores) / float64(count)
}

var sink atomic.Bool

// cancelTrees cancels so many parents of so many children each; only the cancels are timed.
func cancelTrees(width, times int) float64 {
	batch := max(5000/width, 1)
	sum := 0.0
	for left := times; left > 0; left -= batch {
		trees := make([]pair, min(batch, left))
		leaves := make([]pair, 0, len(trees)*width)
		for n := range trees {
			trees[n] = child(background)
			for range width {
				leaves = append(leaves, child(trees[n].ctx))
			}
		}
		sum += stopwatch(func() {
			for _, tree := range trees {
				tree.cancel()
			}
		})
		sink.Store(leaves[len(leaves)-1].ctx.Err() != nil)
	}
	return sum
}

// chain cancels a chain from the top: per level. Dropping is the collector's.
func chain(depth int) float64 {
	all := make([]pair, 0, depth)
	parent := background
	for range depth {
		all = append(all, child(parent))
		parent = all[len(all)-1].ctx
	}
	sum := stopwatch(func() { all[0].cancel() })
	sink.Store(all[depth-1].ctx.Err() != nil)
	return sum / float64(depth)
}

// wake cancels a parent with so many children, each waited for by a goroutine, until the last has run: per waiter.
func wake(count int) float64 {
	root := child(background)
	var asleep, awake sync.WaitGroup
	asleep.Add(count)
	awake.Add(count)
	for range count {
		each := child(root.ctx)
		go func() {
			done := each.ctx.Done()
			asleep.Done()
			<-done
			awake.Done()
			each.cancel()
		}()
	}
	asleep.Wait()
	// The last ones are about to receive.
	time.Sleep(2 * time.Millisecond)
	start := time.Now()
	root.cancel()
	awake.Wait()
	return float64(time.Since(start)) / float64(count)
}

func percentiles(all []int64, of ...float64) []float64 {
	sort.Slice(all, func(i, j int) bool { return all[i] < all[j] })
	var out []float64
	if len(all) == 0 {
		all = []int64{0}
	}
	for _, p := range of {
		out = append(out, float64(all[int(float64(len(all)-1)*p)]))
	}
	return out
}

// tail is the spread of single creations and drops on so many goroutines.
func tail(count, times int) []float64 {
	parent := child(background)
	var all []int64
	var lock sync.Mutex
	together(count, times, func(times int) {
		own := make([]int64, 0, times)
		for range times {
			start := time.Now()
			child(parent.ctx).cancel()
			own = append(own, int64(time.Since(start)))
		}
		lock.Lock()
		all = append(all, own...)
		lock.Unlock()
	})
	return percentiles(all, 0.5, 0.99, 0.999, 0.9999)
}

// during makes single calls while a fan-out runs: the worst of a fan-out, the median over fan-outs; p99.99 of all.
func during(what string, width, fans int) []float64 {
	var all, worst []int64
	for range fans {
		root := child(background)
		leaves := make([]pair, width)
		for n := range leaves {
			leaves[n] = child(root.ctx)
		}
		var ready, over atomic.Bool
		var begun, ended time.Time
		done := make(chan struct{})
		go func() {
			for !ready.Load() {
			}
			begun = time.Now()
			root.cancel()
			over.Store(true)
			ended = time.Now()
			close(done)
		}()
		type call struct{ start, end time.Time }
		var calls []call
		ready.Store(true)
		for n := 1; !over.Load(); n++ {
			start := time.Now()
			switch what {
			case "is_done":
				sink.Store(root.ctx.Err() != nil)
			case "cause":
				sink.Store(context.Cause(root.ctx) != nil)
			case "derive":
				child(root.ctx)
			case "sibling":
				leaves[width-1-n%width].cancel()
			}
			calls = append(calls, call{start, time.Now()})
		}
		<-done
		most := int64(0)
		for _, call := range calls {
			if !call.start.After(ended) && !call.end.Before(begun) {
				took := int64(call.end.Sub(call.start))
				all = append(all, took)
				most = max(most, took)
			}
		}
		worst = append(worst, most)
	}
	return []float64{percentiles(worst, 0.5)[0], percentiles(all, 0.9999)[0]}
}

var pending []pair

func pend(count int) {
	for _, one := range pending {
		one.cancel()
	}
	pending = nil
	for n := range count {
		ctx, cancel := context.WithTimeout(background, 4*time.Minute+10*time.Minute*time.Duration(n)/time.Duration(count))
		pending = append(pending, pair{ctx, cancel})
	}
	runtime.GC()
}

// late lets so many deadlines pass within a second: mean and p99 lateness, processor time, how many were early.
func late(count int, within time.Duration) []float64 {
	base := time.Now().Add(time.Second)
	lateness := make([]int64, count)
	var all sync.WaitGroup
	all.Add(count)
	keep := make([]pair, count)
	for n := range count {
		at := base.Add(within * time.Duration(n) / time.Duration(count))
		ctx, cancel := context.WithDeadline(background, at)
		context.AfterFunc(ctx, func() {
			lateness[n] = int64(time.Since(at))
			all.Done()
		})
		keep[n] = pair{ctx, cancel}
	}
	time.Sleep(time.Until(base) - 5*time.Millisecond)
	start := spent()
	all.Wait()
	cpu := spent() - start
	sum, early := 0.0, 0.0
	for _, each := range lateness {
		sum += float64(each)
		if each < 0 {
			early++
		}
	}
	return []float64{sum / float64(count), percentiles(lateness, 0.99)[0], float64(cpu), early}
}

// heap is what a kept child adds: bytes, allocations.
func heap(timed bool, count int) []float64 {
	root := child(background)
	kept := make([]pair, 0, count)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range count {
		if timed {
			ctx, cancel := context.WithTimeout(root.ctx, timeout)
			kept = append(kept, pair{ctx, cancel})
		} else {
			kept = append(kept, child(root.ctx))
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	for _, one := range kept {
		one.cancel()
	}
	per := float64(count)
	return []float64{float64(after.HeapAlloc-before.HeapAlloc) / per, float64(after.Mallocs-before.Mallocs) / per}
}

func resident() float64 {
	text, _ := os.ReadFile("/proc/self/statm")
	pages, _ := strconv.Atoi(strings.Fields(string(text))[1])
	return float64(pages * os.Getpagesize())
}

// grown is how much the process has grown after so many short children of one root.
func grown(timed bool, times int) float64 {
	root := child(background)
	churn := func(times int) {
		for range times {
			if timed {
				_, cancel := context.WithTimeout(root.ctx, timeout)
				cancel()
			} else {
				child(root.ctx).cancel()
			}
		}
	}
	churn(times / 100)
	debug.FreeOSMemory()
	before := resident()
	churn(times)
	return resident() - before
}

type key struct{}
type absent struct{}
type other [4]byte

func values(depth int) context.Context {
	leaf := context.WithValue(child(background).ctx, key{}, 1)
	for level := 1; level < depth; level++ {
		if level%2 == 0 {
			leaf = context.WithValue(leaf, other{byte(level % 8)}, 0)
		} else {
			leaf = child(leaf).ctx
		}
	}
	return leaf
}

func lookUp(leaf context.Context, what any, times int) float64 {
	found := 0
	sum := stopwatch(func() {
		for range times {
			if leaf.Value(what) != nil {
				found++
			}
		}
	})
	sink.Store(found > 0)
	return sum
}

func run(row string, args []int) []float64 {
	one := func(ns float64) []float64 { return []float64{ns} }
	switch row {
	case "child":
		parent := child(background)
		return one(together(args[0], args[1], func(times int) {
			for range times {
				child(parent.ctx).cancel()
			}
		}))
	case "tail":
		return tail(args[0], args[1])
	case "timed":
		parent := child(background)
		return one(together(args[0], args[1], func(times int) {
			for range times {
				_, cancel := context.WithTimeout(parent.ctx, timeout)
				cancel()
			}
		}))
	case "timer":
		return one(together(args[0], args[1], func(times int) {
			for range times {
				_, cancel := context.WithTimeout(background, 5*time.Minute)
				cancel()
			}
		}))
	case "look":
		each := child(child(background).ctx)
		return one(together(args[0], args[1], func(times int) {
			var err error
			for range times {
				err = each.ctx.Err()
			}
			sink.Store(err != nil)
		}))
	case "cancel":
		return one(cancelTrees(args[0], args[1]))
	case "chain":
		return one(chain(args[0]))
	case "wake":
		return one(wake(args[0]))
	case "is_done", "cause", "derive", "sibling":
		return during(row, args[0], args[1])
	case "pend":
		pend(args[0])
		return one(0)
	case "late":
		return late(args[0], time.Duration(args[1]))
	case "heap":
		return heap(args[0] == 1, args[1])
	case "grown":
		return one(grown(args[0] == 1, args[1]))
	case "find":
		leaf := values(args[0])
		return one(lookUp(leaf, key{}, args[1]))
	case "miss":
		leaf := values(args[0])
		return one(lookUp(leaf, absent{}, args[1]))
	}
	panic("unknown row " + row)
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	fmt.Println(runtime.Version())
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		var args []int
		for _, word := range words[1:] {
			arg, err := strconv.Atoi(word)
			if err != nil {
				panic(err)
			}
			args = append(args, arg)
		}
		figures := run(words[0], args)
		// Garbage that is left would be collected on a processor that a rival's cell is timed on.
		runtime.GC()
		for _, figure := range figures {
			fmt.Printf("%v ", figure)
		}
		fmt.Println()
	}
}
