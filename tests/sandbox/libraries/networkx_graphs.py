"""Graphs: paths, centrality, drawing, files."""

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import networkx as nx

graph = nx.karate_club_graph()
assert nx.shortest_path(graph, 0, 33)[0] == 0
assert max(nx.pagerank(graph).items(), key=lambda item: item[1])[0] == 33
assert len(nx.community.louvain_communities(graph, seed=1)) > 2
nx.write_graphml(graph, "club.graphml")
assert nx.read_graphml("club.graphml").number_of_edges() == graph.number_of_edges()
nx.draw(graph, nx.spring_layout(graph, seed=1))
plt.savefig("club.png")
assert nx.maximum_flow_value(nx.DiGraph([(0, 1, {"capacity": 3}), (1, 2, {"capacity": 2})]), 0, 2) == 2
print("ok")
