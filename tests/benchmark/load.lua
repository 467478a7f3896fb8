-- For wrk: POSTs one body, each time with the next token of a file, and looks at every answer.
-- Arguments: milliseconds between the calls of a connection, file of the body, file of the tokens (one a line), "once" or "again" (tokens may repeat), cards expected or "any".

local counters = {}

function setup(thread)
   table.insert(counters, thread)
end

function init(args)
   local file = assert(io.open(args[2], "rb"))
   wrk.body = file:read("*a")
   file:close()
   tokens, at, again, cards = {}, 0, args[4] == "again", tonumber(args[5])
   for line in io.lines(args[3]) do tokens[#tokens + 1] = line end
   pause = tonumber(args[1])
   statuses, wrong, short, retry, closed, sent = {}, 0, false, 0, 0, 0
   wrk.method = "POST"
   wrk.headers["Content-Type"] = "application/json"
   wrk.headers["X-Forwarded-Proto"] = "https"
   wrk.headers["Content-Length"] = #wrk.body
end

function request()
   at, sent = at + 1, sent + 1
   if at > #tokens then
      if again then at = 1 else short = true; wrk.thread:stop() end
   end
   wrk.headers["Authorization"] = "Bearer " .. (tokens[at] or "none-left")
   return wrk.format()
end

-- Half to one and a half times as long, so that connections do not move in step.
function delay()
   return pause * (0.5 + math.random())
end

function response(status, headers, body)
   statuses[tostring(status)] = (statuses[tostring(status)] or 0) + 1
   if status == 200 then
      local _, found = body:gsub('"indicator"', "")
      if cards and found ~= cards then wrong = wrong + 1 end
   elseif headers["Retry-After"] then
      retry = retry + 1
   end
   if headers["Connection"] == "close" then closed = closed + 1 end
end

function done(summary, latency, requests)
   local parts, wrong, retry, closed, sent, short = {}, 0, 0, 0, 0, false
   local sums = {}
   for _, thread in ipairs(counters) do
      for status, number in pairs(thread:get("statuses")) do sums[status] = (sums[status] or 0) + number end
      wrong, retry, sent = wrong + thread:get("wrong"), retry + thread:get("retry"), sent + thread:get("sent")
      closed = closed + thread:get("closed")
      short = short or thread:get("short")
   end
   for status, number in pairs(sums) do parts[#parts + 1] = string.format('"%s":%d', status, number) end
   local errors = summary.errors
   io.write(string.format(
      'RESULT {"seconds":%f,"statuses":{%s},"wrong":%d,"with_retry_after":%d,"closed":%d,"sent":%d,"short":%s,"broken":%d,' ..
      '"p50":%f,"p99":%f,"p99.9":%f,"max":%f}\n',
      summary.duration / 1e6, table.concat(parts, ","), wrong, retry, closed, sent, tostring(short),
      errors.connect + errors.read + errors.write + errors.timeout,
      latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, latency:percentile(99.9) / 1e3, latency.max / 1e3))
end
