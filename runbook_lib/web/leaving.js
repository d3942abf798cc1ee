// Ask for a connection by way of a STUN server at a port of this machine, past every proxy. Resolves to "open" where the page
// has found such a way, "closed" where there is none, "nothing" where that cannot be seen.
(async (port) => {
  if (typeof RTCPeerConnection === "undefined") return "closed";
  const ways = [], found = [];
  const search = async () => {
    const way = new RTCPeerConnection({iceServers: [{urls: `stun:127.0.0.1:${port}`}]});
    ways.push(way);
    const over = new Promise((done) => {
      way.onicecandidate = (event) => event.candidate ? found.push(event.candidate.candidate) : done(true);
    });
    way.createDataChannel("way out");
    await way.setLocalDescription(await way.createOffer());
    return over;
  };
  const later = () => new Promise((done) => setTimeout(done, 500));
  // Where there is no network but loopback the first search may never end; one that is begun later does.
  let over = false;
  while (!over && ways.length < 20) over = await Promise.race([search(), later()]);
  for (const way of ways) way.close();
  return !over ? "nothing" : found.some((each) => / udp /i.test(each)) ? "open" : "closed";
})
