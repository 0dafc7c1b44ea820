import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.opensearch.common.settings.Settings;
import org.opensearch.core.common.transport.TransportAddress;
import org.opensearch.env.Environment;
import org.opensearch.http.HttpServerTransport;
import org.opensearch.node.InternalSettingsPreparer;
import org.opensearch.node.Node;
import org.opensearch.plugins.Plugin;
import org.opensearch.transport.Netty4Plugin;

/**
 * One OpenSearch node for tests, on 127.0.0.1, with its data in a folder: `TestNode FOLDER PORT`. Port 0 is any. Says
 * `ready PORT` when it answers, and ends when its standard input does, so that it does not outlive whoever started it.
 */
final class TestNode extends Node {
  private TestNode(Environment environment, List<Class<? extends Plugin>> plugins) {
    super(environment, plugins, false);
  }

  public static void main(String[] arguments) throws Exception {
    Path folder = Path.of(arguments[0]).toAbsolutePath();
    Path config = Files.createDirectories(folder.resolve("config"));
    Settings settings =
        Settings.builder()
            .put("path.home", folder)
            .put("cluster.name", "waymark-tests")
            .put("node.name", "test")
            .put("discovery.type", "single-node")
            .put("network.host", "127.0.0.1")
            .put("http.port", arguments[1])
            .put("transport.port", "0")
            .put("transport.type", "netty4")
            .put("http.type", "netty4")
            // A full disk of the machine is no matter of these tests.
            .put("cluster.routing.allocation.disk.threshold_enabled", false)
            // Each test has indices of its own, and they come and go.
            .put("cluster.max_shards_per_node", 10_000)
            .build();
    Environment environment =
        InternalSettingsPreparer.prepareEnvironment(settings, Map.of(), config, () -> "test");
    Node node = new TestNode(environment, List.of(Netty4Plugin.class)).start();
    TransportAddress[] bound =
        node.injector().getInstance(HttpServerTransport.class).boundAddress().boundAddresses();
    System.out.println("ready " + bound[0].getPort());
    while (System.in.read() >= 0) {}
    node.close();
    System.exit(0);
  }
}
