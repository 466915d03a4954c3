# One target: what was measured of Parley beside its peers.
# In: one object for each server, {name, values, server, generator, bound}; the first is Parley's.
# Out: a line that begins with the verdict, "pass", "fail" or "not judged", then the rows of the table.
# $how: at-least  Parley's median is to be at least $factor times that of the best peer
#       at-most   at most $factor times that of the best peer, which has the least
#       below     at most $factor itself
# $extra names the servers that are only shown. $slow, where it is not empty, says why a miss is not judged.

def median: if length == 0 then null else sort | (.[(length - 1) / 2 | floor] + .[length / 2 | floor]) / 2 end;

def figure:
  if . == null then "–"
  elif . >= 100 then round
  elif . >= 10 then (. * 10 | round / 10)
  elif . >= 1 then (. * 100 | round / 100)
  else (. * 1000 | round / 1000) end;

def shown:
  if .values == [] then "–"
  elif .values | length == 1 then "\(.values[0] | figure)"
  else "\(.values | median | figure) (\(.values | min | figure)–\(.values | max | figure))" end;

def cores:
  "\(.name): \(.server | median | figure) + \(.generator | median | figure)"
  + if .bound then " (generator-bound)" else "" end;

def times: if . == null then "–" else "\(figure) ×" end;

.[0] as $ours
| ($extra | split(" ")) as $shown
| [.[1:][] | select(.name | IN($shown[]) | not)] as $peers
| [.[1:][] | select(.name | IN($shown[]))] as $others
| ($peers | map(select(.values != []))
   | (if $how == "at-most" then min_by(.values | median) else max_by(.values | median) end) // $peers[0]) as $best
| ($ours.values | median) as $got
| (if $how == "below" then $got
   elif $got == null or $best.values == [] then null
   else $got / ($best.values | median) end) as $measured
| (if $measured == null then false
   elif $how == "at-least" then $measured >= $factor
   else $measured <= $factor end) as $ok
| (if $ok then "pass" elif $measured != null and $slow != "" then "not judged" else "fail" end) as $verdict
| ({"at-least": "≥ \($wanted) × \($best.name)", "at-most": "≤ \($wanted) × \($best.name)", "below": "≤ \($wanted)"}[$how]) as $aim
| (if $how == "below" then $measured | figure else $measured | times end) as $reached
| "\($verdict): \($row): \($title): wanted \($aim), measured \($reached)",
  "| \($title) | \($aim) | \($reached) | \($ours | shown) | "
  + "\(if $peers == [] then "–" else [$peers[] | "\(.name) \(shown)"] | join("; ") end) | "
  + "\([$ours, $peers[]] | map(cores) | join("; ")) | \($verdict)\(if $verdict == "not judged" then ": " + $slow else "" end) |",
  ($others[] | "| … | for information | \(if $got == null or .values == [] then "–" else $got / (.values | median) | times end) | | "
  + "\(.name) \(shown) | \(cores) | |")
